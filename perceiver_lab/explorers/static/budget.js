// TokenBudget: how many frames, in which order, how many tokens; and what is said of them.

const clipOf = (model) => {
  const frames = model.get("frames");
  const dropped = model.get("dropped").filter((place) => place < frames).sort((a, b) => a - b);
  return { example: model.get("example"), frames, order: model.get("order"), dropped };
};
const sayOf = (model) => ({ what: "say", ...clipOf(model), tokens: model.get("tokens"), question: model.get("question") });

function budgetControls(model, facts, { change }) {
  const near = (list, value) => list.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(list[best] - value) ? i : best), 0);
  const choice = (label, name, options) => select({ label, value: model.get(name), options, onchange: (v) => change({ [name]: name === "example" ? +v : v }) });
  const example = choice("Clip", "example", facts.examples.map((i) => [i, facts.texts[i]]));
  const question = choice("Question", "question", facts.questions.map((one) => [one, one]));
  const order = choice("Order", "order", facts.orders.map((one) => [one, one]));
  const steps = (label, name, list, text) => slider({ label, max: list.length - 1, value: near(list, model.get(name)), text: (i) => text(list[i]), oninput: (i) => change({ [name]: list[i] }) });
  const frames = steps("Frames", "frames", facts.counts, String);
  const tokens = steps("Tokens that the text reads", "tokens", facts.budgets, (n) => `${n} of ${facts.num_tokens}`);
  const all = button("Show all frames again", () => change({ dropped: [] }));
  const fill = () => {
    example.set(model.get("example"));
    question.set(model.get("question"));
    order.set(model.get("order"));
    frames.set(near(facts.counts, model.get("frames")));
    tokens.set(near(facts.budgets, model.get("tokens")));
    all.disabled = !clipOf(model).dropped.length;
  };
  const rows = [[example.node, question.node], [frames.node, order.node, tokens.node, all]];
  return { nodes: rows.map((row) => create("div", { class: "pl-controls" }, ...row)), fill };
}

/** The frames as a board that takes keys: one is at hand, and can be dropped. */
function budgetFrames(model, now, facts, { change, style, width }) {
  let at = 0;
  const count = () => model.get("frames");
  const layout = () => tiling(count(), Math.max(TILE, Math.min(width() || 930, 930)));
  const toggle = (place) => {
    if (facts.saved) return;
    const dropped = new Set(clipOf(model).dropped);
    if (!dropped.delete(place)) dropped.add(place);
    if (dropped.size < count()) change({ dropped: [...dropped] });  // one frame at least is read
  };
  const scene = (maps) => ({
    tiles: now.numbers.map((number) => now.frames?.[number] ?? null), columns: layout().columns, dropped: clipOf(model).dropped,
    maps, grid: facts.grid, colours: now.colours, style, at: -1,
  });
  const shown = board({
    label: "Frames", width: 4 * TILE, height: TILE, help: facts.saved ? "" : "Arrow keys: choose a frame; Enter or a click: drop it, or read it again",
    draw: (context) => paintTiles(context, { ...scene(null), at: document.activeElement === shown.node ? at : -1 }),
    onkey: (event) => {
      const step = ARROWS[event.key];
      if (step) {
        at = clamp(at + step[1] + step[0] * layout().columns, 0, count() - 1);
        shown.name(`Frames: frame ${at + 1} of ${count()} is at hand.`);
        shown.paint();
        return true;
      }
      if (event.key !== "Enter" && event.key !== " ") return false;
      toggle(at);
      return true;
    },
  });
  shown.node.addEventListener("focus", () => shown.paint());
  shown.node.addEventListener("blur", () => shown.paint());
  shown.node.addEventListener("pointerdown", (event) => {
    const { columns, rows } = layout();
    const [x, y] = shown.place(event);
    at = Math.min(count() - 1, Math.floor(y * rows) * columns + Math.floor(x * columns));
    toggle(at);
  });
  const maps = still({ label: "Where the token looks", width: 4 * TILE, height: TILE,
    draw: (context) => paintTiles(context, scene(now.look?.cells[model.get("token")] ?? null)) });
  const fit = () => {
    const { columns, rows } = layout();
    for (const one of [shown, maps]) one.resize(columns * TILE, rows * TILE);
    at = Math.min(at, count() - 1);
  };
  return { shown, maps, fit };
}

function budgetTable(model, now, facts, { change, style, width }) {
  const count = facts.num_tokens;
  const table = board({
    label: "Tokens and frames", width: 300, height: count * ROW, help: "Arrow keys or a click: choose a token",
    draw: (context, w) => {
      if (now.look) paintTable(context, w, { look: now.look, token: model.get("token"), kept: model.get("tokens"), colours: now.colours, style });
    },
    onkey: (event) => {
      const step = ARROWS[event.key];
      if (!step) return false;
      change({ token: clamp(model.get("token") + step[0] + step[1], 0, count - 1) });
      return true;
    },
  });
  table.node.addEventListener("pointerdown", (event) => change({ token: Math.floor(table.place(event)[1] * count) }));
  const fit = () => table.resize(Math.min(Math.max(200, width() || 420), 26 + Math.max(160, 26 * (model.get("frames") + 1))), count * ROW);
  return { table, fit };
}

/** What there is to find out; each says what came out. */
function budgetFinds(model, now, facts) {
  const counted = new Map();  // frames read -> tokens made of them
  const whole = new Map();  // what was said with all tokens, all frames as filmed
  const filmed = new Map();
  const current = () => (now.said && now.asked === keyOf(sayOf(model)) ? now.said.text : null);
  const here = (...names) => String([model.get("example"), model.get("question"), ...names.map((name) => model.get(name))]);
  return discoveries([
    {
      task: "Read one frame, and then as many as there are. How many tokens come out?",
      found: () => {
        if (now.look) counted.set(model.get("frames"), now.look.frames.length);
        const [one, most] = [1, facts.longest].map((n) => counted.get(n));
        return one && most ? `${one} from 1 frame, ${most} from ${facts.longest}.` : null;
      },
    },
    {
      task: "Play the clip backwards. Does what is said turn round as well?",
      found: () => {
        const text = current();
        if (text === null || clipOf(model).dropped.length) return null;
        const key = here("frames", "tokens");
        if (model.get("order") === facts.orders[0]) filmed.set(key, text);
        if (model.get("order") !== facts.orders[1] || !filmed.has(key) || model.get("frames") < 2) return null;
        return filmed.get(key) === text ? `No: “${text}” both ways.` : `“${filmed.get(key)}” becomes “${text}”`;
      },
    },
    {
      task: "Take tokens away. From how many on does the model say something else?",
      found: () => {
        const text = current();
        if (text === null) return null;
        const key = here("frames", "order") + clipOf(model).dropped;
        if (model.get("tokens") === facts.num_tokens) whole.set(key, text);
        return whole.has(key) && whole.get(key) !== text ? `With ${model.get("tokens")}: “${text}” instead of “${whole.get(key)}”` : null;
      },
    },
  ]);
}

function budgetParts(model, now, facts, tools) {
  const controls = budgetControls(model, facts, tools);
  const frames = budgetFrames(model, now, facts, tools);
  const table = budgetTable(model, now, facts, tools);
  const finds = budgetFinds(model, now, facts);
  const title = (text) => create("p", { class: "pl-title" }, text);
  const mapTitle = title("");
  const says = create("p", { class: "pl-says" });
  const reads = bars("How the text shares its attention among the tokens");
  const layers = create("div", { class: "pl-field" });
  const layer = select({ label: "Layer of the resampler", value: 0, options: [], onchange: (v) => tools.change({ layer: +v }) });
  layers.append(layer.node);
  const nodes = [
    ...controls.nodes,
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel pl-wide" }, title("What the model is given"), frames.shown.node,
        create("p", { class: "pl-note" }, facts.saved ? "In the notebook, frames can be dropped one by one." : "Enter or a click drops a frame, or brings it back.")),
      create("div", { class: "pl-panel pl-wide" }, mapTitle, frames.maps.node)),
    create("div", { class: "pl-columns pl-gap" },
      create("div", { class: "pl-panel" }, title("Tokens (rows) and frames (columns); the last column: the tokens"), table.table.node, layers),
      create("div", { class: "pl-panel" }, title("What the text reads"), reads.node),
      create("div", { class: "pl-panel pl-finds" }, title("What is said"), says, ...finds.node.childNodes)),
  ];
  const fill = () => {
    controls.fill();
    frames.fit();
    table.fit();
    const token = model.get("token");
    mapTitle.textContent = `Where token ${token + 1} looks`;
    layer.fill(now.layers.map((_, i) => [i, `${i + 1} of ${now.layers.length}`]), Math.min(model.get("layer"), Math.max(0, now.layers.length - 1)));
    table.table.name(`Tokens and frames: token ${token + 1} of ${facts.num_tokens} is chosen.`);
    if (now.said) {
      says.textContent = `“${now.said.text}”`;
      reads.set(now.said.shares.map((share, r) => ({ name: `token ${r + 1}`, value: share, text: r < model.get("tokens") ? percent(share) : "not read", strong: r === token })));
    }
  };
  return { nodes, fill, check: finds.check, paint: () => [frames.shown, frames.maps, table.table].forEach((one) => one.paint()) };
}

/** What to ask when the state changes. */
function budgetUpdates(model, now, facts, { ask, busy, update }) {
  const cells = facts.grid[0] * facts.grid[1];
  const sized = () => lookOf(now.layers[Math.min(model.get("layer"), now.layers.length - 1)], { tokens: facts.num_tokens, frames: now.numbers.length, cells });
  return {
    clip: update(async () => {
      const { buffers } = await ask({ what: "clip", example: model.get("example") });
      now.frames = framesOf(bytesOf(buffers[0]), facts.side);
    }),
    look: update(async () => {
      const found = await busy(ask({ what: "look", ...clipOf(model) }));
      now.numbers = found.numbers;
      now.layers = found.buffers.map(floatsOf);
      now.look = sized();
    }),
    layer: update(async () => { if (now.layers.length) now.look = sized(); }),
    say: update(async () => {
      const question = sayOf(model);
      now.said = await busy(ask(question));
      now.asked = keyOf(question);
    }),
  };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { frames: null, numbers: [], layers: [], look: null, said: null, asked: null, colours: colourTable(facts.colours) };
  const { style, width, ask, busy, change, update, run } = stage({ model, el, kind: "budget", title: "Token budget" });
  const parts = budgetParts(model, now, facts, { style, width, change });
  const clip = ["look", "say"];
  return run({
    parts,
    describe: () => [describeBudget(model, now, facts), parts.check()].filter(Boolean).join(" "),
    updates: budgetUpdates(model, now, facts, { ask, busy, update }),
    needs: {
      example: ["clip", ...clip], frames: clip, order: clip, dropped: clip,
      tokens: ["say"], question: ["say"], layer: ["layer"], token: [],
    },
    notes: facts.saved ? ["This saved page holds few clips, counts of frames and budgets; the notebook has them all, any order, and frames to drop."] : [],
  });
}
export default { render };

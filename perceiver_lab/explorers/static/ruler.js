// ContextRuler: a place on a sequence, what its latent may see, where it looks and what it says; and what that costs.

/** What the state says of the sequence that has been read; null before the first answer. */
function rulerView(model, now, facts) {
  const { read } = now;
  if (!read) return null;
  const [place, head, count] = ["place", "head", "num_latents"].map((name) => model.get(name));
  const weights = weightsOf(read, head, place);
  const middle = facts.middles[read.sequence];
  const foretold = place + 1;
  const double = middle !== null && foretold >= middle && foretold < facts.size ? 2 * middle - 1 - foretold : null;
  const said = read.said[count][place];
  return {
    read, place, head, weights, middle, double, said, size: facts.size, tokens: read.tokens,
    most: weights.indexOf(Math.max(...weights)), latents: [Math.max(0, foretold - count), place],
    target: read.tokens[foretold], truth: said.truth,
  };
}

const costView = (model, facts) => {
  const [context, latents] = ["context", "latents"].map((name) => model.get(name));
  return { context, latents, cost: passCost(context, latents, facts) };
};

/** The ruler, with pointer and keys. */
function rulerBoard(model, { facts, style, change, view }) {
  const go = (place) => { change({ place: clamp(place, 0, facts.size - 1) }); return true; };
  const ruler = board({
    label: "Ruler", width: RULER.width, height: RULER.height,
    help: "Drag along the sequence, or use the arrow keys; Page Up and Page Down move by eight",
    draw: (context, w, h) => { if (view()) paintRuler(context, w, h, { view: view(), style, scale: rulerScale(ruler.node) }); },
    onkey: ({ key }) => {
      const to = { Home: 0, End: facts.size - 1 }[key];
      if (to !== undefined) return go(to);
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -8, PageUp: 8 }[key];
      return by ? go(model.get("place") + by) : false;
    },
  });
  new ResizeObserver(() => ruler.resize(RULER.width, rulerScale(ruler.node) < NARROW.below ? NARROW.height : RULER.height)).observe(ruler.node);
  const under = (event) => go(Math.floor(ruler.place(event)[0] * facts.size));
  ruler.node.addEventListener("pointerdown", (event) => { ruler.node.setPointerCapture?.(event.pointerId); under(event); });
  ruler.node.addEventListener("pointermove", (event) => { if (event.buttons & 1) under(event); });
  return ruler;
}

function rulerFinds(view, cost, facts) {
  let [near, far] = [null, null];
  return discoveries([
    {
      task: "Go to a place in the first half. What does it say comes next?",
      found: () => {
        const now = view();
        if (!now || now.middle === null || now.place + 1 >= now.middle || now.place === 0) return null;
        return `${tokenName(now.said.top[0][0])} is its best guess, with ${chance(now.said.top[0][1])}: nothing tells it.`;
      },
    },
    {
      task: "Walk from the middle to the end. How far back does it look?",
      found: () => {
        const now = view();
        if (!now || now.double === null) return null;
        const here = { place: now.place, back: now.place - now.most };
        const quarter = (now.size + 1 - now.middle) / 4;
        if (now.place < now.middle + quarter) near = here;
        if (now.place >= now.size - quarter) far = here;
        return near && far ? `${near.back} places at place ${near.place}, ${far.back} at place ${far.place}.` : null;
      },
    },
    {
      task: `Move M to ${grouped(131072)}, with N = ${grouped(1024)}. Which pass is dearer, and which single token?`,
      found: () => {
        const { context, latents, cost: { perceiver, transformer, spoken } } = cost();
        if (context !== 131072 || latents !== 1024) return null;
        const each = (perceiver / spoken) / (transformer / context);
        return `The Transformer's pass by ${(transformer / perceiver).toPrecision(3)} times; a token costs the Perceiver AR ${each.toPrecision(3)} times the Transformer's.`;
      },
    },
  ]);
}

/** Controls of the ruler and of the cost. */
function rulerControls(model, { facts, change }) {
  const pick = (label, name, options) => ({
    ...select({ label, value: model.get(name), options, onchange: (value) => change({ [name]: +value }) }), name,
  });
  const shown = [
    pick("Sequence", "sequence", facts.middles.map((_, i) => [i, String(i)])),
    pick("Latents", "num_latents", facts.choices.map((count) => [count, String(count)])),
    pick("Head", "head", [[-1, "mean of all"], ...Array.from({ length: facts.heads }, (_, i) => [i, String(i)])]),
  ];
  const along = (label, name) => {
    const steps = [...new Set([...COST_LADDERS[name], model.get(name)])].sort((a, b) => a - b);
    const made = slider({ label, max: steps.length - 1, value: steps.indexOf(model.get(name)), text: (i) => grouped(steps[i]), oninput: (i) => change({ [name]: steps[i] }) });
    return { node: made.node, set: () => made.set(Math.max(0, steps.indexOf(model.get(name)))) };
  };
  const sizes = [along("Context M", "context"), along("Latents N", "latents")];
  return { shown, sizes, fill: () => { shown.forEach((one) => one.set(model.get(one.name))); sizes.forEach((one) => one.set()); } };
}

function rulerParts(model, now, { facts, style, change }) {
  const view = () => rulerView(model, now, facts);
  const cost = () => costView(model, facts);
  const controls = rulerControls(model, { facts, change });
  const ruler = rulerBoard(model, { facts, style, change, view });
  const layer = mapLayer(colourTable(facts.colours));
  const map = still({
    label: "All places", width: MAP_SIDE, height: MAP_SIDE,
    draw: (context, width, height) => {
      const shown = view();
      if (!shown) return;
      context.drawImage(layer(shown.read, shown.head), 0, 0, width, height);
      context.strokeStyle = style("--pl-orange");
      context.lineWidth = 2;
      context.strokeRect(1, (shown.place * height) / shown.size - 1, width - 2, height / shown.size + 2);
    },
  });
  const guesses = bars("The three likeliest tokens");
  const title = create("p", { class: "pl-title" });
  const passes = bars("FLOPs of one pass, on a logarithmic scale");
  const tokens = bars("FLOPs for each token that is said, on a logarithmic scale");
  const finds = rulerFinds(view, cost, facts);
  const heading = (text, more = "") => create("p", { class: `pl-title${more}` }, text);
  const nodes = [
    create("div", { class: "pl-controls" }, ...controls.shown.map((one) => one.node)),
    create("div", { class: "pl-panel pl-wide" }, ruler.node,
      create("p", { class: "pl-note" }, "Bars: how much it takes from each place, the most in orange. Framed: the latent chosen; underlined: all latents. Struck out: still to come. Symbols are numbers from 00 to FF. Triangle: the double of what comes next. Dashed: the middle.")),
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, heading("All places at once"), map.node, create("p", { class: "pl-note" }, "A row for each latent, a column for each place.")),
      create("div", { class: "pl-panel" }, title, guesses.node),
      create("div", { class: "pl-panel pl-cost" }, heading(`Other sizes: ${facts.layers} layers of ${grouped(facts.channels)} channels`), ...controls.sizes.map((one) => one.node),
        heading("FLOPs of one pass", " pl-gap"), passes.node, heading("FLOPs for each token said", " pl-gap"), tokens.node),
      finds.node)];
  const logarithmic = (values) => {
    const [logs, top] = [values.map(Math.log10), Math.log10(Math.max(...values))];
    const least = Math.min(...logs) - 1;
    return ["Perceiver AR", "Transformer"].map((name, i) => ({ name, value: (logs[i] - least) / (top - least), text: flopsText(values[i]), strong: i === 1 }));
  };
  const fill = (text) => {
    controls.fill();
    const { context, cost: { perceiver, transformer, spoken } } = cost();
    passes.set(logarithmic([perceiver, transformer]));
    tokens.set(logarithmic([perceiver / spoken, transformer / context]));
    const shown = view();
    if (!shown) return;
    title.textContent = `Place ${shown.place + 1}: what comes?`;
    guesses.set(shown.said.top.map(([token, share]) => ({ name: tokenName(token), value: share, text: chance(share), strong: token === shown.target })));
    ruler.name(`Ruler. ${text}`);
    map.name(`Weights of all ${shown.size} latents, the row of place ${shown.place} framed.`);
  };
  return { nodes, fill, paint: () => { ruler.paint(); map.paint(); }, check: finds.check, view, cost };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { read: null };
  const base = stage({ model, el, kind: "ruler", title: "Context ruler" });
  const parts = rulerParts(model, now, { facts, ...base });
  return base.run({
    parts,
    describe: () => {
      const view = parts.view();
      return [view ? describePlace(view) : "Reading.", describeCost(parts.cost()), parts.check()].filter(Boolean).join(" ");
    },
    updates: {
      read: base.update(async () => {
        const sequence = model.get("sequence");
        const { buffers, ...told } = await base.busy(base.ask({ what: "read", sequence }));
        now.read = { ...told, sequence, size: facts.size, tiles: bytesOf(buffers[0]), peaks: floatsOf(buffers[1]) };
      }),
    },
    needs: { sequence: ["read"], place: [], head: [], num_latents: [], context: [], latents: [] },
    notes: ["A pass of the Perceiver AR says N tokens in training, one of the Transformer M; its layers are one more, in place of the read."],
  });
}
export default { render };

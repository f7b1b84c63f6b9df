// AttentionExplorer: what each latent looks at, who looks at a pixel, and what happens when latents are switched off.

function attentionControls(model, change) {
  const facts = model.get("facts");
  const example = select({
    label: "Example", value: model.get("example"), onchange: (v) => change({ example: +v }),
    options: facts.examples.map((i) => [i, facts.labels.length ? `${i}: label ${facts.class_names[facts.labels[i]]}` : i]),
  });
  const layer = select({
    label: "Layer", value: model.get("layer"), options: facts.layers.map((name) => [name, name]),
    onchange: (v) => change({ layer: v, head: -1 }),
  });
  const head = select({ label: "Head", value: model.get("head"), options: [[-1, headText(-1)]], onchange: (v) => change({ head: +v }) });
  const ids = facts.latent_ids;
  const latent = slider({
    label: "Latent", max: ids.length - 1, value: Math.max(0, ids.indexOf(model.get("latent"))), text: (i) => String(ids[i]),
    oninput: (i) => change({ latent: ids[i] }),
  });
  const opacity = slider({
    label: "Map over picture", max: 100, step: 5, value: 100 * model.get("opacity"), text: (v) => `${v}\u00a0%`,
    oninput: (v) => change({ opacity: v / 100 }),
  });
  const show = (heads) => {
    example.set(model.get("example"));
    layer.set(model.get("layer"));
    if (heads) head.fill(heads.map((h) => [h, headText(h)]), model.get("head"));
    head.node.hidden = (heads ?? [-1]).length < 2;
    latent.set(Math.max(0, ids.indexOf(model.get("latent"))));
    opacity.set(Math.round(100 * model.get("opacity")));
  };
  return { node: create("div", { class: "pl-controls" }, ...[example, layer, head, latent, opacity].map((c) => c.node)), show };
}

function attentionBoards(model, parts) {
  const { facts, change, toggle, now, table, pointAt } = parts;
  const drawn = layers();
  const { grid, latent_ids: ids } = facts;
  const map = board({
    label: "Attention on the picture", width: PICTURE_WIDTH, height: (PICTURE_WIDTH * facts.shape[0]) / facts.shape[1],
    help: "Point at a pixel, or use the arrow keys; with Shift in larger steps",
    draw: (context, w, h) => paintMap(context, w, h, {
      drawn, picture: now.picture, tile: now.tile?.bytes, grid, table, opacity: model.get("opacity"), pixel: model.get("pixel"),
    }),
    onkey: (event) => {
      const step = ARROWS[event.key];
      if (!step) return false;
      const far = event.shiftKey ? Math.max(2, Math.round(grid[1] / 16)) : 1;
      pointAt(model.get("pixel").map((v, axis) => clamp(v + far * step[axis], 0, grid[axis] - 1)));
      return true;
    },
  });
  const point = (event) => { const [x, y] = map.place(event); pointAt([Math.floor(y * grid[0]), Math.floor(x * grid[1])]); };
  map.node.addEventListener("pointermove", point);
  map.node.addEventListener("pointerdown", point);
  const columns = latentColumns(ids.length);
  const width = Math.min(304, columns * 38);
  const latents = board({
    label: "Latents", width, height: (Math.ceil(ids.length / columns) * width) / columns,
    help: "Click a latent to see what it reads, click it again to switch it off; or arrow keys and Space",
    draw: (context, w) => paintLatents(context, w, { ids, weights: now.weights, off: model.get("off"), chosen: model.get("latent"), table }),
    onkey: (event) => {
      const at = ids.indexOf(model.get("latent"));
      if (event.key === " " || event.key === "Enter") { toggle(ids[at]); return true; }
      const step = ARROWS[event.key];
      if (!step) return false;
      change({ latent: ids[clamp(at + step[0] * columns + step[1], 0, ids.length - 1)] });
      return true;
    },
  });
  latents.node.addEventListener("click", (event) => {
    const [x, y] = latents.place(event);
    const id = ids[Math.floor(y * Math.ceil(ids.length / columns)) * columns + Math.floor(x * columns)];
    if (id === undefined) return;
    if (id === model.get("latent")) toggle(id);
    else change({ latent: id });
  });
  return { map, latents };
}

/** What there is to find out; each says what came out. Only an answer to what is shown now counts. */
function attentionFinds(model, now, { class_names: names, labels, latent_ids: ids, turn, most_off: most }) {
  const best = (values) => values.indexOf(Math.max(...values));
  const find = (task, say) => ({ task, found: () => {
    const [example, off] = [model.get("example"), model.get("off")];
    if (!off.length || now.asked !== keyOf({ example, off })) return null;
    return say({ example, off, before: best(now.baseline), after: best(now.probabilities) });
  } });
  const without = (off) => `without latent${off.length > 1 ? "s" : ""} ${off.join(", ")}`;
  const turned = ({ example, off, before, after }) => `Example ${example} ${without(off)}: ${names[before]} becomes ${names[after]}.`;
  return discoveries([
    find(`Switch off as few latents as you can, until a ${names[turn[0]]} is read as a ${names[turn[1]]}.`, (all) =>
      (all.before === turn[0] && all.after === turn[1] ? turned(all) : null)),
    ...(labels.length ? [find("Find a wrong answer that comes right when one latent is off.", (all) =>
      (all.off.length === 1 && all.before !== labels[all.example] && all.after === labels[all.example] ? turned(all) : null))] : []),
    ...(most ? [] : [find("Switch off half of the latents or more, and keep the answer.", ({ example, off, before, after }) =>
      (2 * off.length >= ids.length && before === after ? `Example ${example}: ${off.length} of ${ids.length} off, still ${names[after]} (${chance(now.probabilities[after])}).` : null))]),
  ]);
}

/** The parts of the page and a function that fills them from the state. */
function attentionParts(model, now, { facts, change, toggle, pointAt }) {
  const controls = attentionControls(model, change);
  const { map, latents } = attentionBoards(model, { facts, change, toggle, now, table: colourTable(facts.colours), pointAt });
  const ids = facts.latent_ids;
  const ranking = bars("Latents that watch this pixel most", (row) => change({ latent: ids[now.order[row]] }));
  const prediction = bars("Predicted probability of each class");
  const toggleButton = button("Switch off", () => toggle(model.get("latent")));
  const allButton = button("All on", () => change({ off: [] }));
  const onlyButton = button("Only this one", () => change({ off: ids.filter((id) => id !== model.get("latent")) }));
  const [mapTitle, rankTitle, predictionTitle] = [0, 1, 2].map(() => create("p", { class: "pl-title" }));
  const peak = create("span");
  const finds = facts.turn.length ? attentionFinds(model, now, facts) : null;
  const nodes = [
    controls.node,
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, mapTitle, map.node,
        create("div", { class: "pl-legend" }, create("span", {}, "0"), create("span", { class: "pl-ramp" }), peak)),
      create("div", { class: "pl-panel" }, rankTitle, ranking.node,
        create("p", { class: "pl-title pl-gap" }, "Latents, coloured by their weight on that pixel"), latents.node,
        create("p", { class: "pl-note" }, "Click: see what it reads. Click again or Space: off and on."),
        create("div", { class: "pl-controls pl-gap" }, toggleButton, facts.most_off ? null : onlyButton, allButton)),
      create("div", { class: "pl-panel" }, predictionTitle, prediction.node,
        create("p", { class: "pl-note" }, "Line: with all latents on."))),
    ...(finds ? [create("div", { class: "pl-columns pl-gap" }, finds.node)] : []),
  ];
  const rank = () => {
    now.order = [...now.weights.keys()].sort((a, b) => now.weights[b] - now.weights[a]).slice(0, RANKS);
    const most = Math.max(1e-12, now.weights[now.order[0]]);
    ranking.set(now.order.map((i) => ({
      name: `latent ${ids[i]}`, value: now.weights[i] / most, text: percent(now.weights[i]), strong: ids[i] === model.get("latent"),
    })));
  };
  const fill = (text) => {
    const [latent, pixel, off] = [model.get("latent"), model.get("pixel"), model.get("off")];
    const isOff = off.includes(latent);
    mapTitle.textContent = `What latent ${latent} looks at`;
    rankTitle.textContent = `Who looks at row ${pixel[0]}, column ${pixel[1]}?`;
    predictionTitle.textContent = off.length ? `Prediction, ${off.length} off` : "Prediction, all on";
    toggleButton.textContent = `${isOff ? "Switch on" : "Switch off"} latent ${latent}`;
    allButton.disabled = !off.length;
    peak.textContent = now.tile ? `${percent(now.tile.peak)} of its attention` : "";
    controls.show(now.tile?.heads ?? null);
    if (now.weights) rank();
    if (now.probabilities) {
      const label = facts.labels.length ? facts.labels[model.get("example")] : null;
      prediction.set(predictionRows(facts.class_names, now.probabilities, now.baseline, label));
    }
    map.name(`Attention on the picture. ${text}`);
    latents.name(`Latents. Latent ${latent} is chosen and ${isOff ? "off" : "on"}.`);
  };
  return { nodes, fill, check: () => finds?.check() ?? "", paint: () => { map.paint(); latents.paint(); } };
}

/** What to ask when the state changes; each answer goes into `now` and is shown. */
function attentionUpdates(model, now, { ask, busy, update }) {
  const source = mapSource(model, ask);
  const place = () => ["example", "layer", "head"].map((name) => model.get(name));
  return {
    picture: update(async () => {
      const { buffers } = await ask({ what: "picture", example: model.get("example") });
      now.picture = await imageOf(buffers[0]);
    }),
    map: update(async () => { now.tile = await busy(source.tile(...place(), model.get("latent"))); }),
    pixel: update(async () => { now.weights = await source.column(...place(), model.get("pixel")); }),
    prediction: update(async () => {
      const [example, off] = [model.get("example"), model.get("off")];
      const answer = async (these) => (await busy(ask({ what: "predict", example, off: these }))).probabilities;
      now.baseline = await answer([]);
      now.probabilities = off.length ? await answer(off) : now.baseline;
      now.asked = keyOf({ example, off });
    }),
  };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { picture: null, tile: null, weights: null, probabilities: null, baseline: null, asked: null, order: [] };
  const { ask, busy, change, update, run } = stage({ model, el, kind: "attention", title: "Attention explorer" });
  const pointAt = (pixel) => { if (String(pixel) !== String(model.get("pixel"))) change({ pixel }); };
  const toggle = (id) => {
    const off = model.get("off");
    const rest = facts.most_off ? off.slice(Math.max(0, off.length - facts.most_off + 1)) : off;  // a saved page has no more
    change({ off: off.includes(id) ? off.filter((other) => other !== id) : [...rest, id].sort((a, b) => a - b) });
  };
  const parts = attentionParts(model, now, { facts, change, toggle, pointAt });
  return run({
    parts,
    describe: () => [describe(model, now), parts.check()].filter(Boolean).join(" "),
    updates: attentionUpdates(model, now, { ask, busy, update }),
    needs: {
      example: ["picture", "map", "pixel", "prediction"], layer: ["map", "pixel"], head: ["map", "pixel"], latent: ["map"],
      pixel: ["pixel"], off: ["prediction"], opacity: [],
    },
    quick: "pixel",
  });
}
export default { render };

// AttentionExplorer: what each latent looks at, who looks at a pixel, and what happens when latents are switched off.

const PICTURE_WIDTH = 336;
const RANKS = 6;

function latentColumns(count) {
  return count <= 64 ? Math.min(8, count) : count <= 256 ? 16 : 32;
}

/** Weights of one latent (bytes, and the weight that 255 stands for) and of all latents at one pixel. */
function mapSource(model, ask) {
  const facts = () => model.get("facts");
  const sheet = (example, layer, head) => ask({ what: "sheet", example, layer, head }, { keep: true });
  return {
    async tile(example, layer, head, latent) {
      const { grid, whole, latent_ids: ids } = facts();
      const size = grid[0] * grid[1];
      if (!whole) {
        const { buffers, peak, heads } = await ask({ what: "tile", example, layer, head, latent }, { keep: true });
        return { bytes: bytesOf(buffers[0]), peak, heads };
      }
      const { buffers, heads } = await sheet(example, layer, head);
      const index = ids.indexOf(latent);
      return { bytes: bytesOf(buffers[0]).subarray(index * size, (index + 1) * size), peak: floatsOf(buffers[1])[index], heads };
    },
    async column(example, layer, head, [row, column]) {
      const { grid, whole, latent_ids: ids } = facts();
      const at = row * grid[1] + column;
      if (!whole) {
        const { buffers } = await ask({ what: "column", example, layer, head, pixel: at });
        return floatsOf(buffers[0]);
      }
      const { buffers } = await sheet(example, layer, head);
      const bytes = bytesOf(buffers[0]);
      const peaks = floatsOf(buffers[1]);
      return Float32Array.from(ids, (_, i) => (bytes[i * grid[0] * grid[1] + at] * peaks[i]) / 255);
    },
  };
}

function paintMap(context, width, height, { picture, tile, grid, table, opacity, style, pixel }) {
  if (picture) {
    context.filter = "grayscale(1)";
    context.drawImage(picture, 0, 0, width, height);
    context.filter = "none";
  }
  if (tile) {
    const heat = new ImageData(grid[1], grid[0]);
    for (let i = 0; i < tile.length; i++) {
      const c = 3 * tile[i];
      const level = tile[i] / 255;
      heat.data.set([table[c], table[c + 1], table[c + 2], 255 * (opacity * level + opacity * opacity * (1 - level))], 4 * i);
    }
    const small = new OffscreenCanvas(grid[1], grid[0]);
    small.getContext("2d").putImageData(heat, 0, 0);
    context.drawImage(small, 0, 0, width, height);
  }
  const [h, w] = [height / grid[0], width / grid[1]];
  const side = Math.max(9, w);  // a pixel of a large picture is too small to find
  const [x, y] = [(pixel[1] + 0.5) * w - side / 2, (pixel[0] + 0.5) * h - Math.max(9, h) / 2];
  for (const [colour, wide] of [["#000", 4], [style("--pl-mark-colour") || "#ff9d2e", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.strokeRect(x, y, side, Math.max(9, h));
  }
}

function paintLatents(context, width, { ids, weights, off, chosen, table }) {
  const columns = latentColumns(ids.length);
  const cell = width / columns;
  const most = weights ? Math.max(1e-12, ...weights) : 1;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `${Math.min(12, cell * 0.38)}px system-ui, sans-serif`;
  ids.forEach((id, i) => {
    const [x, y] = [(i % columns) * cell, Math.floor(i / columns) * cell];
    const level = Math.round((255 * (weights?.[i] ?? 0)) / most);
    context.fillStyle = `rgb(${table.subarray(3 * level, 3 * level + 3).join(",")})`;
    context.fillRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
    if (cell >= 18) {
      context.fillStyle = level > 140 ? "#000" : "#fff";
      context.fillText(id, x + cell / 2, y + cell / 2);
    }
    if (off.includes(id)) {
      context.fillStyle = "rgba(255,255,255,0.82)";
      context.fillRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
      context.strokeStyle = "#b00020";
      context.lineWidth = Math.max(1.5, cell / 14);
      context.beginPath();
      context.moveTo(x + cell * 0.2, y + cell * 0.2);
      context.lineTo(x + cell * 0.8, y + cell * 0.8);
      context.moveTo(x + cell * 0.8, y + cell * 0.2);
      context.lineTo(x + cell * 0.2, y + cell * 0.8);
      context.stroke();
    }
  });
  const at = ids.indexOf(chosen);
  for (const [colour, inset, wide] of [["#000", 1.5, 3], ["#ff9d2e", 1.5, 1.8]]) {
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.strokeRect((at % columns) * cell + inset, Math.floor(at / columns) * cell + inset, cell - 2 * inset, cell - 2 * inset);
  }
}

function headText(head) {
  return head < 0 ? "mean of all heads" : `head ${head}`;
}

/** All that is shown, as sentences. */
function describe(model, { tile, weights, probabilities, baseline }) {
  const { latent_ids: ids, grid, labels, class_names: names } = model.get("facts");
  const [example, latent, pixel, off] = ["example", "latent", "pixel", "off"].map((name) => model.get(name));
  const best = (values) => values.indexOf(Math.max(...values));
  const truth = labels.length ? ` (label ${names[labels[example]]})` : "";
  const head = tile?.heads.length > 1 ? `, ${headText(model.get("head"))}` : "";
  const parts = [`Example ${example}${truth}, ${model.get("layer")}${head}.`];
  if (tile) {
    let top = 0;
    tile.bytes.forEach((v, i) => { if (v > tile.bytes[top]) top = i; });
    const where = `row ${Math.floor(top / grid[1])}, column ${top % grid[1]}`;
    parts.push(`Latent ${latent} looks most at ${where}: ${percent(tile.peak)} of its attention, ${(tile.peak * grid[0] * grid[1]).toFixed(1)} times an even share.`);
  }
  if (weights) {
    const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, 3);
    parts.push(`Row ${pixel[0]}, column ${pixel[1]} is watched most by latents ${order.map((i) => ids[i]).join(", ")}.`);
  }
  if (off.length) parts.push(`Off: ${off.length > 8 ? `${off.length} latents` : `latent${off.length > 1 ? "s" : ""} ${off.join(", ")}`}.`);
  if (probabilities) {
    const now = best(probabilities);
    let text = `Prediction ${names[now]} (${percent(probabilities[now])})`;
    if (off.length && baseline) text += `; with all latents ${names[best(baseline)]} (${percent(baseline[best(baseline)])})`;
    parts.push(`${text}.`);
  }
  return parts.join(" ");
}

/** Rows of the prediction: all classes, or the eight that matter most now or before. */
function predictionRows(names, probabilities, baseline, label) {
  let classes = [...probabilities.keys()];
  if (classes.length > 12) {
    classes = classes.sort((a, b) => Math.max(probabilities[b], baseline[b]) - Math.max(probabilities[a], baseline[a])).slice(0, 8);
  }
  const best = probabilities.indexOf(Math.max(...probabilities));
  return classes.map((k) => ({
    name: `${names[k]}${k === label ? " ✓" : ""}`, value: probabilities[k], mark: baseline[k],
    text: percent(probabilities[k]), strong: k === best,
  }));
}

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
  const { facts, change, toggle, now, table, style, pointAt } = parts;
  const { grid, latent_ids: ids } = facts;
  const map = board({
    label: "Attention on the picture", width: PICTURE_WIDTH, height: (PICTURE_WIDTH * facts.shape[0]) / facts.shape[1],
    help: "Point at a pixel, or use the arrow keys; with Shift in larger steps",
    draw: (context, w, h) => paintMap(context, w, h, {
      picture: now.picture, tile: now.tile?.bytes, grid, table, opacity: model.get("opacity"), style, pixel: model.get("pixel"),
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

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { picture: null, tile: null, weights: null, probabilities: null, baseline: null, order: [] };
  const page = mount(el, "attention", "Attention explorer", () => paint());
  const talk = questions(model);
  const source = mapSource(model, talk.ask);
  const words = readout();
  const set = keeper(model);
  const change = (changes) => set(changes);
  const pointAt = (pixel) => { if (String(pixel) !== String(model.get("pixel"))) change({ pixel }); };
  const toggle = (id) => {
    const off = model.get("off");
    const rest = facts.single_off ? [] : off;
    change({ off: off.includes(id) ? off.filter((other) => other !== id) : [...rest, id].sort((a, b) => a - b) });
  };
  const controls = attentionControls(model, change);
  const { map, latents } = attentionBoards(model, { facts, change, toggle, now, table: colourTable(facts.colours), style: page.style, pointAt });
  const ranking = bars("Latents that watch this pixel most", (row) => change({ latent: facts.latent_ids[now.order[row]] }));
  const prediction = bars("Predicted probability of each class");
  const toggleButton = button("Switch off", () => toggle(model.get("latent")));
  const allButton = button("All on", () => change({ off: [] }));
  const others = () => facts.latent_ids.filter((id) => id !== model.get("latent"));
  const onlyButton = button("Only this one", () => change({ off: others() }));
  const titles = ["map", "rank", "prediction"].reduce((all, name) => ({ ...all, [name]: create("p", { class: "pl-title" }) }), {});
  const peak = create("span");
  page.root.append(
    controls.node,
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, titles.map, map.node,
        create("div", { class: "pl-legend" }, create("span", {}, "0"), create("span", { class: "pl-ramp" }), peak)),
      create("div", { class: "pl-panel" }, titles.rank, ranking.node,
        create("p", { class: "pl-title pl-gap" }, "Latents, coloured by their weight on that pixel"), latents.node,
        create("p", { class: "pl-note" }, "Click: see what it reads. Click again or Space: off and on."),
        create("div", { class: "pl-controls pl-gap" }, toggleButton, facts.single_off ? null : onlyButton, allButton)),
      create("div", { class: "pl-panel" }, titles.prediction, prediction.node,
        create("p", { class: "pl-note" }, "Line: with all latents on."))),
    words.node,
    create("p", { class: "pl-note pl-busy", "aria-hidden": "true" }, "working …"),
  );

  function paint() {
    map?.paint();
    latents?.paint();
  }
  const fail = (error) => words.say(error.message);
  let waiting = 0;
  const busy = async (work) => {
    waiting += 1;
    const timer = setTimeout(() => page.root.setAttribute("aria-busy", "true"), 150);
    try { return await work; } finally {
      clearTimeout(timer);
      if (--waiting === 0) page.root.setAttribute("aria-busy", "false");
    }
  };
  const place = () => ["example", "layer", "head"].map((name) => model.get(name));

  const refreshPicture = latest(async () => {
    try {
      const { buffers } = await talk.ask({ what: "picture", example: model.get("example") }, { keep: true });
      now.picture = await createImageBitmap(new Blob([bytesOf(buffers[0])], { type: "image/png" }));
      paint();
    } catch (error) { fail(error); }
  });
  const refreshMap = latest(async () => {
    try {
      now.tile = await busy(source.tile(...place(), model.get("latent")));
      controls.show(now.tile.heads);
      show();
    } catch (error) { fail(error); }
  });
  const refreshPixel = latest(async () => {
    try {
      now.weights = await source.column(...place(), model.get("pixel"));
      show();
    } catch (error) { fail(error); }
  });
  const refreshPrediction = latest(async () => {
    try {
      const [example, off] = [model.get("example"), model.get("off")];
      now.baseline = (await busy(talk.ask({ what: "predict", example, off: [] }, { keep: true }))).probabilities;
      now.probabilities = off.length ? (await busy(talk.ask({ what: "predict", example, off }, { keep: true }))).probabilities : now.baseline;
      show();
    } catch (error) { fail(error); }
  });

  function showRanking() {
    if (!now.weights) return;
    const ids = facts.latent_ids;
    now.order = [...now.weights.keys()].sort((a, b) => now.weights[b] - now.weights[a]).slice(0, RANKS);
    const most = Math.max(1e-12, now.weights[now.order[0]]);
    ranking.set(now.order.map((i) => ({
      name: `latent ${ids[i]}`, value: now.weights[i] / most, text: percent(now.weights[i]), strong: ids[i] === model.get("latent"),
    })));
  }
  function show() {
    const [latent, pixel, off] = [model.get("latent"), model.get("pixel"), model.get("off")];
    titles.map.textContent = `What latent ${latent} looks at`;
    titles.rank.textContent = `Who looks at row ${pixel[0]}, column ${pixel[1]}?`;
    titles.prediction.textContent = off.length ? `Prediction, ${off.length} off` : "Prediction, all on";
    toggleButton.textContent = `${off.includes(latent) ? "Switch on" : "Switch off"} latent ${latent}`;
    allButton.disabled = !off.length;
    peak.textContent = now.tile ? `${percent(now.tile.peak)} of its attention` : "";
    showRanking();
    if (now.probabilities) {
      const label = facts.labels.length ? facts.labels[model.get("example")] : null;
      prediction.set(predictionRows(facts.class_names, now.probabilities, now.baseline, label));
    }
    const text = describe(model, now);
    map.name(`Attention on the picture. ${text}`);
    latents.name(`Latents. Latent ${latent} is chosen and ${off.includes(latent) ? "off" : "on"}.`);
    words.say(text);
    paint();
  }
  const watched = {
    example: () => { refreshPicture(); refreshMap(); refreshPixel(); refreshPrediction(); },
    layer: () => { refreshMap(); refreshPixel(); }, head: () => { refreshMap(); refreshPixel(); },
    latent: () => { controls.show(now.tile?.heads); refreshMap(); show(); }, pixel: () => { refreshPixel(); show(); },
    off: () => { refreshPrediction(); show(); }, opacity: () => { controls.show(now.tile?.heads); paint(); },
  };
  for (const [name, act] of Object.entries(watched)) model.on(`change:${name}`, act);
  controls.show(null);
  show();
  watched.example();
  return () => {
    for (const [name, act] of Object.entries(watched)) model.off(`change:${name}`, act);
    talk.stop();
    words.stop();
    page.stop();
  };
}
export default { render };

// WardRound: one patient after the other, three examinations, and the sound one beside each.

const WARD_SIDE = 220;
const WARD_TRAITS = ["patient", "image", "shuffled", "hidden", "off"];

/** The question about a patient under the present examinations. */
function wardAsk(model, patient) {
  const [image, shuffled, hidden, off] = ["image", "shuffled", "hidden", "off"].map((name) => model.get(name));
  return { what: "see", patient, image, shuffled, hidden, off };
}

/** The map that is shown, values from 0 to 1 on one scale: of a latent, or the mean of all. */
function wardMap({ tiles, peaks }, latent, size) {
  const row = (n) => Float32Array.from({ length: size }, (_, i) => (tiles[n * size + i] / 255) * peaks[n]);
  if (latent >= 0) return row(latent);
  const mean = new Float32Array(size);
  for (let n = 0; n < peaks.length; n += 1) row(n).forEach((value, i) => { mean[i] += value / peaks.length; });
  return mean;
}

const wardMiddle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const wardChange = (value) => (value === null ? "no number" : value === 0 ? "0" : value < 0.001 ? value.toExponential(1) : value.toPrecision(2));

/** What was done, in words. */
function wardDone(model) {
  const off = model.get("off");
  const done = [model.get("shuffled") && "pixels shuffled", model.get("hidden") && "lower quarter hidden by a mask", off >= 0 && `latent ${off} off`].filter(Boolean);
  return done.length ? done.join(", ") : "no examination";
}

function wardSays(seen, facts) {
  if (!seen.probabilities) return "says nothing that is a number";
  const best = seen.probabilities.indexOf(Math.max(...seen.probabilities));
  return `says ${facts.class_names[best]} with ${chance(seen.probabilities[best])}`;
}

function describeWard(model, seen, facts) {
  const name = facts.patients[model.get("patient")];
  const label = facts.class_names[facts.labels[model.get("image")]];
  const moved = wardDone(model) === "no examination" || seen.change === null ? "" : ` Its logits moved by up to ${wardChange(seen.change)}.`;
  const hidden = model.get("hidden") ? ` ${percent(seen.on_hidden)} of the weight lies on what is hidden.` : "";
  return `${name}, a picture of ${label}, ${wardDone(model)}: it ${wardSays(seen, facts)}.${moved} A latent looks at ${wardMiddle(seen.looked).toPrecision(2)} pixels.${hidden}`;
}

/** Bytes on a grid, by a colour for each value from 0 to 255. */
function paintWard(context, width, height, { values, shape, colour, visible = null, style }) {
  const [rows, columns] = shape;
  const [w, h] = [width / columns, height / rows];
  values.forEach((value, i) => {
    context.fillStyle = colour(value);
    context.fillRect((i % columns) * w, Math.floor(i / columns) * h, w + 0.5, h + 0.5);
  });
  if (visible === null) return;
  const top = (visible / columns) * h;
  Object.assign(context, { strokeStyle: style("--pl-orange"), lineWidth: 2 });
  context.setLineDash([6, 4]);
  context.strokeRect(1, top + 1, width - 2, height - top - 2);
  context.setLineDash([]);
}

function wardFinds(model, now, facts) {
  const name = () => facts.patients[model.get("patient")];
  const only = (trait) => {
    const set = { shuffled: model.get("shuffled"), hidden: model.get("hidden"), off: model.get("off") >= 0 };
    return Object.entries(set).every(([key, value]) => value === (key === trait));
  };
  const ill = () => now.seen && now.of === model.get("patient") && now.of > 0;
  return discoveries([
    {
      task: "Shuffle the pixels. For which patient is that all the same?",
      found: () => (ill() && only("shuffled") && now.seen.change !== null && now.seen.change < 1e-3
        ? `${name()}: its logits move by ${wardChange(now.seen.change)}.` : null),
    },
    {
      task: "Switch a latent off. Who does not miss it?",
      found: () => (ill() && only("off") && now.seen.change !== null && now.seen.change < 1e-3
        ? `${name()}: its logits move by ${wardChange(now.seen.change)}.` : null),
    },
    {
      task: "Hide the lower quarter. Who looks there, and nowhere else?",
      found: () => (ill() && only("hidden") && now.seen.on_hidden > 0.99
        ? `${name()}: ${percent(now.seen.on_hidden)} of its weight lies on what is hidden.` : null),
    },
  ]);
}

function wardControls(model, facts, change) {
  const latents = (none) => [[-1, none], ...Array.from({ length: facts.latents }, (_, i) => [i, String(i)])];
  const pick = (label, name, options, more = () => ({})) => ({
    ...select({ label, value: model.get(name), options, onchange: (value) => change({ ...more(), [name]: +value }) }), name,
  });
  // A saved page has each examination by itself only.
  const alone = () => (facts.single ? { shuffled: false, hidden: false, off: -1 } : {});
  const tick = (label, name) => ({ ...checkbox({ label, value: model.get(name), onchange: (value) => change({ ...alone(), [name]: value }) }), name });
  const rows = [
    [pick("Patient", "patient", facts.patients.map((one, i) => [i, one])),
      pick("Picture", "image", facts.labels.map((label, i) => [i, `${i + 1}: ${facts.class_names[label]}`])),
      pick("Map of latent", "latent", latents("mean of all"))],
    [tick("Shuffle the pixels", "shuffled"), tick("Hide the lower quarter", "hidden"), pick("Switch off latent", "off", latents("none"), alone)],
  ];
  return {
    nodes: rows.map((row) => create("div", { class: "pl-controls" }, ...row.map((one) => one.node))),
    fill: () => rows.flat().forEach((one) => one.set(model.get(one.name))),
  };
}

function wardParts(model, now, { facts, style, change }) {
  const [rows, columns] = facts.shape;
  const size = rows * columns;
  const table = colourTable(facts.colours);
  const rgbOf = (value) => `rgb(${table[3 * value]},${table[3 * value + 1]},${table[3 * value + 2]})`;
  const hidden = () => (model.get("hidden") ? facts.visible : null);
  const height = (WARD_SIDE * rows) / columns;
  const view = (label, which) => still({ label, width: WARD_SIDE, height,
    draw: (context, w, h) => {
      const seen = now[which];
      if (!seen) return;
      const map = wardMap(seen, model.get("latent"), size);
      const top = Math.max(...map, 1e-30);
      paintWard(context, w, h, { values: map, shape: facts.shape, visible: hidden(), style, colour: (value) => rgbOf(Math.round((255 * value) / top) || 0) });
    } });
  const picture = still({ label: "Picture", width: WARD_SIDE, height,
    draw: (context, w, h) => {
      if (now.seen) paintWard(context, w, h, { values: now.seen.grey, shape: facts.shape, visible: hidden(), style, colour: (value) => `rgb(${value},${value},${value})` });
    } });
  const [mine, theirs] = [view("Map of the patient", "seen"), view("Map of the sound one", "sound")];
  const [answers, normal] = [bars("What the patient says"), bars("What the sound one says")];
  const controls = wardControls(model, facts, change);
  const finds = wardFinds(model, now, facts);
  const heading = (text) => create("p", { class: "pl-title" }, text);
  const title = heading("Patient");
  const nodes = [
    ...controls.nodes,
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, heading("What is read"), picture.node),
      create("div", { class: "pl-panel" }, title, mine.node, answers.node),
      create("div", { class: "pl-panel" }, heading(facts.patients[0]), theirs.node, normal.node),
      finds.node)];
  const said = (seen) => facts.class_names.map((name, i) => ({
    name, value: seen.probabilities?.[i] ?? 0, text: seen.probabilities ? chance(seen.probabilities[i]) : "no number",
    strong: i === facts.labels[model.get("image")],
  }));
  const fill = (text) => {
    controls.fill();
    title.textContent = facts.patients[model.get("patient")];
    if (now.seen) answers.set(said(now.seen));
    if (now.sound) normal.set(said(now.sound));
    mine.name(`Map of the patient. ${text}`);
    theirs.name("Map of the sound one.");
    picture.name(`Picture of ${facts.class_names[facts.labels[model.get("image")]]}, ${wardDone(model)}.`);
  };
  return { nodes, fill, paint: () => [picture, mine, theirs].forEach((one) => one.paint()), check: finds.check };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { seen: null, sound: null, of: null };
  const base = stage({ model, el, kind: "ward", title: "Ward round" });
  const parts = wardParts(model, now, { facts, ...base });
  const unpack = ({ buffers, ...told }) => ({ ...told, grey: bytesOf(buffers[0]), tiles: bytesOf(buffers[1]), peaks: floatsOf(buffers[2]) });
  return base.run({
    parts,
    describe: () => (now.seen ? [describeWard(model, now.seen, facts), parts.check()].filter(Boolean).join(" ") : "Examining."),
    updates: {
      see: base.update(async () => {
        const of = model.get("patient");
        const [seen, sound] = await base.busy(Promise.all([of, 0].map((patient) => base.ask(wardAsk(model, patient)))));
        Object.assign(now, { seen: unpack(seen), sound: unpack(sound), of });
      }),
    },
    needs: { ...Object.fromEntries(WARD_TRAITS.map((name) => [name, ["see"]])), latent: [] },
    notes: ["Maps: the first read, each on the scale of its own brightest pixel. Dashed: what the mask hides."],
  });
}
export default { render };

// ShapeTracer: the arrays of a cross-attention as rectangles, their sizes, multiply-adds and bytes.

const CHOICES = {
  num_inputs: [1, 2, 5, 10, 20, 50, 100, 196, 500, 1000, 2048, 5000, 10000, 20000, 50176, 100000, 262144, 1048576],
  num_queries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048],
  channels: [4, 8, 16, 32, 64, 128, 256, 512, 1024],
};
const HEADS = [1, 2, 4, 8, 16];
const LARGE = 84;
const SVG = "http://www.w3.org/2000/svg";

function quantity(value, unit = "") {
  const steps = [[1e15, "quadrillion"], [1e12, "trillion"], [1e9, "billion"], [1e6, "million"]];
  for (const [size, name] of steps) if (value >= size) return `${(value / size).toPrecision(3)} ${name}${unit}`;
  return `${grouped(value)}${unit}`;
}

function byteText(value) {
  const steps = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
  for (const [size, name] of steps) if (value >= size) return `${(value / size).toPrecision(3)}\u00a0${name}`;
  return `${value}\u00a0bytes`;
}

/** All arrays in the order in which they arise, and the multiply-adds. */
function trace({ num_inputs: M, num_queries: N, channels: D, num_heads: H }) {
  const d = D / H;
  const arrays = [
    { name: "Inputs", kind: "input", shape: [M, D], axes: "give keys and values" },
    { name: "Queries", kind: "query", shape: [H, N, d], axes: "heads × queries × width", sign: "|" },
    { name: "Keys", kind: "input", shape: [H, M, d], axes: "heads × inputs × width", sign: "·" },
    { name: "Scores, weights", kind: "score", shape: [H, N, M], axes: "heads × queries × inputs", sign: "=" },
    { name: "Values", kind: "input", shape: [H, M, d], axes: "heads × inputs × width", sign: "·" },
    { name: "Output", kind: "output", shape: [N, D], axes: "queries × channels", sign: "=" },
  ];
  const projections = 2 * N * D * D + 2 * M * D * D;
  const attention = 2 * N * M * D;
  const itself = 4 * M * D * D + 2 * M * M * D;
  return { arrays, projections, attention, total: projections + attention, itself, bytes: 4 * H * N * M, itselfBytes: 4 * H * M * M };
}

function rectangle(shape, scale, kind) {
  const [rows, columns] = shape.slice(-2);
  const heads = shape.length === 3 ? Math.min(shape[0], 4) : 1;
  const [w, h] = [scale(columns), scale(rows)];
  const [width, height] = [w + 4 * (heads - 1) + 2, h + 4 * (heads - 1) + 2];
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ width, height, "aria-hidden": "true" })) svg.setAttribute(name, value);
  for (let i = heads - 1; i >= 0; i--) {
    const box = document.createElementNS(SVG, "rect");
    const place = { x: 1 + 4 * i, y: 1 + 4 * (heads - 1 - i), width: w, height: h, class: `pl-box pl-${kind}` };
    for (const [name, value] of Object.entries(place)) box.setAttribute(name, value);
    svg.append(box);
  }
  return svg;
}

const FIELDS = ["num_inputs", "num_queries", "channels", "num_heads"];

function changeText(before, after, arrays) {
  const output = arrays[arrays.length - 1].shape.map(grouped).join(" × ");
  const changed = before ? FIELDS.filter((name) => before[name] !== after[name]) : [];
  const names = { num_inputs: "Inputs", num_queries: "Queries", channels: "Channels", num_heads: "Heads" };
  if (changed.length !== 1) return `The output is ${output}.`;
  const [name] = changed;
  const same = name === "num_inputs" || name === "num_heads";
  return `${names[name]} ${grouped(before[name])} → ${grouped(after[name])}: the output ${same ? "stays" : "is now"} ${output}.`;
}

function shapeFinds(now, before) {
  let fewest = Infinity;
  return discoveries([
    {
      task: "Move the inputs from 100 or fewer to 10 000 or more. Which arrays keep their shape?",
      found: () => {
        fewest = Math.min(fewest, now().num_inputs);
        return fewest <= 100 && now().num_inputs >= 10000 ? "Queries and output: none of their axes counts inputs." : null;
      },
    },
    {
      task: "Set 50 176 inputs and 512 queries. How many bytes do the scores need?",
      found: () => {
        const { num_inputs, num_queries } = now();
        if (num_inputs !== 50176 || num_queries !== 512) return null;
        const { bytes, itselfBytes } = trace(now());
        return `${byteText(bytes)}; among the inputs themselves, ${byteText(itselfBytes)}.`;
      },
    },
    {
      task: "Raise the number of heads. What becomes of the multiply-adds, and of the bytes of the scores?",
      found: () => {
        const [old, is] = [before(), now()];
        if (!old || FIELDS.some((name) => name !== "num_heads" && old[name] !== is[name]) || is.num_heads <= old.num_heads) return null;
        return `The multiply-adds stay ${quantity(trace(is).total)}; the bytes are ${is.num_heads / old.num_heads} times as many.`;
      },
    },
  ]);
}

function render({ model, el }) {
  const page = mount(el, "shapes", "Shape tracer", () => {});
  const set = keeper(model);
  const words = readout();
  const flow = create("div", { class: "pl-flow" });
  const costs = bars("Multiply-adds, on a logarithmic scale");
  const memory = bars("Bytes of the scores, on a logarithmic scale");
  const sizes = () => Object.fromEntries(FIELDS.map((name) => [name, model.get(name)]));
  let before = null;
  const finds = shapeFinds(sizes, () => before);
  const ladder = (name) => [...new Set([...CHOICES[name], model.get(name)])].sort((a, b) => a - b);
  const sliders = [["num_inputs", "Inputs M"], ["num_queries", "Queries N"], ["channels", "Channels D"]].map(([name, label]) => {
    const steps = ladder(name);
    const control = slider({
      label, max: steps.length - 1, value: steps.indexOf(model.get(name)), text: (i) => grouped(steps[i]),
      oninput: (i) => {
        const changes = { [name]: steps[i] };
        if (name === "channels" && steps[i] % model.get("num_heads")) changes.num_heads = 1;
        set(changes);
      },
    });
    const update = () => {
      const at = steps.indexOf(model.get(name));
      if (at >= 0) { control.set(at); return; }
      steps.push(model.get(name));
      steps.sort((a, b) => a - b);
      control.range(0, steps.length - 1);
      control.set(steps.indexOf(model.get(name)));
    };
    return { ...control, name, update };
  });
  const heads = select({ label: "Heads", options: [], value: 1, onchange: (v) => set({ num_heads: +v }) });
  page.root.append(
    create("div", { class: "pl-controls" }, ...sliders.map((s) => s.node), heads.node),
    flow,
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, create("p", { class: "pl-title" }, "Multiply-adds"), costs.node),
      create("div", { class: "pl-panel" }, create("p", { class: "pl-title" }, "Bytes of the scores in float32"), memory.node),
      finds.node),
    create("p", { class: "pl-note" }, "Rectangles and bars: square root and logarithmic scale. Output projection included, softmax not counted."),
    words.node);

  function show() {
    const now = sizes();
    const { arrays, projections, attention, total, itself, bytes, itselfBytes } = trace(now);
    const most = Math.max(now.num_inputs, now.num_queries, now.channels);
    const scale = (size) => 3 + LARGE * Math.sqrt(size / most);
    flow.replaceChildren(...arrays.flatMap(({ name, kind, shape, axes, sign }) => [
      sign ? create("span", { class: "pl-sign", "aria-hidden": "true" }, sign) : "",
      create("div", { class: "pl-array" }, create("p", { class: "pl-title" }, name),
        create("div", { class: "pl-space" }, rectangle(shape, scale, kind)),
        create("p", { class: "pl-shape" }, shape.map(grouped).join(" × ")),
        create("p", { class: "pl-note" }, axes),
        create("p", { class: "pl-note" }, byteText(4 * shape.reduce((a, b) => a * b, 1)))),
    ]));
    const top = Math.log10(Math.max(itself, total));
    const row = (name, value, strong = false) => ({ name, value: Math.log10(Math.max(1, value)) / top, text: quantity(value), strong });
    costs.set([row("projections", projections), row("scores, sum", attention), row("together", total, true), row("self-attention", itself)]);
    const topBytes = Math.log10(Math.max(bytes, itselfBytes, 10));
    memory.set([["cross-attention", bytes, true], ["self-attention", itselfBytes, false]].map(([name, value, strong]) => (
      { name, value: Math.log10(value) / topBytes, text: byteText(value), strong })));
    for (const control of sliders) control.update();
    heads.fill([...new Set([...HEADS, now.num_heads])].sort((a, b) => a - b).filter((h) => now.channels % h === 0).map((h) => [h, h]), now.num_heads);
    const times = itself / total;
    words.say(`${changeText(before, now, arrays)} ${quantity(total)} multiply-adds; self-attention among the ${grouped(now.num_inputs)} inputs would take ${times >= 10 ? grouped(times) : times.toFixed(1)} times as many. ${finds.check()}`.trim());
    before = now;
  }
  // Changes of one moment are shown together: channels may bring heads along.
  let planned = false;
  const soon = () => {
    if (planned) return;
    planned = true;
    queueMicrotask(() => { planned = false; show(); });
  };
  for (const name of FIELDS) model.on(`change:${name}`, soon);
  show();
  return () => {
    for (const name of FIELDS) model.off(`change:${name}`, soon);
    words.stop();
    page.stop();
  };
}
export default { render };

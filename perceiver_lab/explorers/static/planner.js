// BudgetPlanner: choose an input, latents, layers, width; what a Perceiver and a Transformer cost, and what fits.

const [GRAPH_WIDTH, GRAPH_HEIGHT] = [430, 230];
const SIZES = ["kind", "image", "sound", "text", "num_latents", "channels", "num_layers", "folded"];
const LAPTOP = { memory: [4, 8, 16, 32, 64, 128], speed: [10, 25, 50, 100, 200, 500, 1000] };
const MODELS = ["Perceiver", "Transformer"];

function plannerState(model) {
  const state = Object.fromEntries([...SIZES, "memory", "speed"].map((name) => [name, model.get(name)]));
  return { ...state, ...budgetOf(state) };
}

const tenTo = (power) => `10${[...String(power)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
const limitOf = ({ memory }) => memory * 2 ** 30;
const sizeText = ({ kind, M, ...state }) => `${KINDS[kind].name} of ${state[kind]}${kind === "image" ? ` × ${state[kind]} pixels` : `\u00a0${KINDS[kind].unit}`}: ${grouped(M)} inputs`;

function verdict(state, name) {
  const { memory, products } = state.prices[name];
  const fits = memory <= limitOf(state);
  return fits
    ? `fits, and takes about ${secondsText((2 * products) / (1e9 * state.speed))}`
    : `does not fit: ${bytesText(memory)} wanted, ${state.memory}\u00a0GiB there`;
}

function describePlan(state) {
  const { M, kind, prices } = state;
  const told = MODELS.map((name) => `${name}: ${amount(2 * prices[name].products)} FLOPs, ${bytesText(prices[name].memory)}, ${amount(prices[name].parameters)} parameters; it ${verdict(state, name)}.`);
  const times = prices.Transformer.products / prices.Perceiver.products;
  const compared = times >= 1 ? `The Transformer takes ${times >= 10 ? grouped(times) : times.toFixed(2)} times the FLOPs.` : `The Transformer takes ${percent(times)} of the Perceiver's FLOPs.`;
  const text = sizeText({ ...state, kind, M });
  return `${text[0].toUpperCase()}${text.slice(1)}. ${told.join(" ")} ${compared}`;
}

/** FLOPs over the number of inputs, both logarithmic: slopes are powers. */
function paintGraph(context, width, height, { state, style }) {
  const [left, right, top, bottom] = [46, 104, 12, 30];
  const inputs = Array.from({ length: 61 }, (_, i) => 10 ** (1.5 + (i * 4.7) / 60));
  const values = Object.fromEntries(MODELS.map((name) => [name, inputs.map((m) => 2 * state.at(m)[name].products)]));
  const all = Object.values(values).flat().map(Math.log10);
  const [low, high] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
  const x = (m) => left + ((Math.log10(m) - 1.5) / 4.7) * (width - left - right);
  const y = (flops) => height - bottom - ((Math.log10(flops) - low) / (high - low)) * (height - top - bottom);
  const line = (points, colour, wide, dash = []) => {
    context.beginPath();
    points.forEach(([a, b], i) => (i ? context.lineTo(a, b) : context.moveTo(a, b)));
    Object.assign(context, { strokeStyle: colour, lineWidth: wide });
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
  };
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = style("--pl-text");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let power = low; power <= high; power += 3) {
    line([[left, y(10 ** power)], [width - right, y(10 ** power)]], style("--pl-faint"), 1);
    context.fillText(tenTo(power), left - 5, y(10 ** power));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const power of [2, 3, 4, 5, 6]) context.fillText(tenTo(power), x(10 ** power), height - bottom + 5);
  line([[left, top], [left, height - bottom], [width - right, height - bottom]], style("--pl-line"), 1);
  const at = clamp(x(state.M), left, width - right);
  line([[at, top], [at, height - bottom]], style("--pl-text"), 1.2, [2, 3]);
  context.textAlign = "left";
  context.textBaseline = "middle";
  const ends = MODELS.map((name) => y(values[name][60]));
  const apart = Math.max(0, 14 - Math.abs(ends[0] - ends[1])) / 2;
  MODELS.forEach((name, i) => {
    const colour = style(i ? "--pl-orange" : "--pl-blue");
    line(inputs.map((m, k) => [x(m), y(values[name][k])]), colour, 2.2, i ? [7, 4] : []);
    const flops = 2 * state.prices[name].products;
    context.fillStyle = colour;
    context.beginPath();
    if (i) context.rect(at - 4, y(flops) - 4, 8, 8);
    else context.arc(at, y(flops), 4.5, 0, 7);
    context.fill();
    context.fillText(name, width - right + 6, ends[i] + (ends[i] > ends[1 - i] ? apart : -apart));
  });
}

function plannerFinds(now, before) {
  const times = (name) => now().prices[name].products / before().prices[name].products;
  const same = () => before() && SIZES.every((name) => name === now().kind || before()[name] === now()[name]);
  return discoveries([
    {
      task: "Move the image to 224 pixels a side. Which of the two still fits the laptop?",
      found: () => {
        const { kind, image, prices, memory } = now();
        if (kind !== "image" || image !== 224) return null;
        const fitting = MODELS.filter((name) => prices[name].memory <= limitOf(now()));
        const [few, many] = MODELS.map((name) => bytesText(prices[name].memory));
        return `${fitting.length === 1 ? `Of ${memory}\u00a0GiB, the` : "The"} Perceiver wants ${few}, the Transformer ${many}.`;
      },
    },
    {
      task: "When is the Transformer the cheaper one?",
      found: () => {
        const { M, num_latents, prices } = now();
        return prices.Transformer.products < prices.Perceiver.products ? `For example with ${grouped(M)} inputs and ${grouped(num_latents)} latents.` : null;
      },
    },
    {
      task: "From 10 000 inputs on, make the input larger and change nothing else. How do the two grow?",
      found: () => {
        if (!same() || before().M < 10000 || now().M <= before().M) return null;
        return `${(now().M / before().M).toFixed(2)} times the inputs: Perceiver ${times("Perceiver").toFixed(2)} times, Transformer ${times("Transformer").toFixed(2)} times the FLOPs.`;
      },
    },
  ]);
}

/** Sliders over ladders of sizes; the one for the input follows the kind. */
function plannerSliders(model, change) {
  const ladder = (steps, value) => [...new Set([...steps, value])].sort((a, b) => a - b);
  const along = (label, name, text) => {
    const steps = ladder(LADDERS[name], model.get(name));
    const control = slider({ label, max: steps.length - 1, value: steps.indexOf(model.get(name)), text: (i) => text(steps[i]), oninput: (i) => change({ [name]: steps[i] }) });
    return { node: control.node, fill: () => control.set(Math.max(0, steps.indexOf(model.get(name)))) };
  };
  const sizesOf = (kind) => ladder(KINDS[kind].sizes, model.get(kind));
  const size = slider({
    label: "Size", max: 1, value: 0,
    text: (i) => `${sizesOf(model.get("kind"))[i]}\u00a0${KINDS[model.get("kind")].unit}`,
    oninput: (i) => change({ [model.get("kind")]: sizesOf(model.get("kind"))[i] }),
  });
  const fill = () => {
    const steps = sizesOf(model.get("kind"));
    size.range(0, steps.length - 1);
    size.set(steps.indexOf(model.get(model.get("kind"))));
  };
  const kind = select({
    label: "Input", value: model.get("kind"), options: Object.entries(KINDS).map(([value, { name }]) => [value, name]),
    onchange: (value) => change({ kind: value }),
  });
  const rest = [along("Latents N", "num_latents", grouped), along("Layers", "num_layers", String), along("Width D", "channels", grouped)];
  return {
    nodes: [kind.node, size.node, ...rest.map((one) => one.node)],
    fill: () => { kind.set(model.get("kind")); fill(); rest.forEach((one) => one.fill()); },
  };
}

function plannerParts(model, { style, change }, now, before) {
  const sliders = plannerSliders(model, change);
  const folded = checkbox({ label: "Folded and in chunks, as this library does", value: model.get("folded"), onchange: (value) => change({ folded: value }) });
  const choices = Object.entries({ memory: ["Laptop: memory", "GiB"], speed: ["speed", "billion FLOPs a second"] }).map(([name, [label, unit]]) => ({
    name,
    ...select({
      label, value: model.get(name), onchange: (value) => change({ [name]: +value }),
      options: [...new Set([...LAPTOP[name], model.get(name)])].sort((a, b) => a - b).map((value) => [value, `${value} ${unit}`]),
    }),
  }));
  const graph = still({ label: "FLOPs over inputs", width: GRAPH_WIDTH, height: GRAPH_HEIGHT, draw: (context, w, h) => paintGraph(context, w, h, { state: now(), style }) });
  const lists = Object.fromEntries(["FLOPs", "Memory", "Parameters"].map((name) => [name, bars(`${name}, on a logarithmic scale`)]));
  const verdicts = MODELS.map(() => create("li"));
  const split = create("p", { class: "pl-note" });
  const finds = plannerFinds(now, before);
  const title = (text) => create("p", { class: "pl-title" }, text);
  const nodes = [
    create("div", { class: "pl-controls" }, ...sliders.nodes),
    create("div", { class: "pl-controls" }, folded.node, ...choices.map((one) => one.node)),
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, ...Object.entries(lists).flatMap(([name, list]) => [title(name), list.node])),
      create("div", { class: "pl-panel" }, title("FLOPs over inputs"), graph.node, create("p", { class: "pl-note" }, "Both axes logarithmic. Dotted: the size chosen.")),
      create("div", { class: "pl-panel pl-laptop" }, title("On the laptop"), create("ul", {}, ...verdicts), split),
      finds.node)];
  const rows = (state, value, text, limit = 0) => {
    const logs = MODELS.map((name) => Math.log10(value(state.prices[name])));
    const most = Math.max(...logs, limit ? Math.log10(limit) : 0);
    const least = Math.min(...logs, limit ? Math.log10(limit) : Infinity) - 1;
    const scaled = (log) => (log - least) / (most - least);
    return MODELS.map((name, i) => ({ name, value: scaled(logs[i]), text: text(value(state.prices[name])), strong: i === 1, mark: limit ? scaled(Math.log10(limit)) : null }));
  };
  const fill = (text) => {
    const state = now();
    sliders.fill();
    folded.set(state.folded);
    for (const one of choices) one.set(state[one.name]);
    lists.FLOPs.set(rows(state, (price) => 2 * price.products, amount));
    lists.Memory.set(rows(state, (price) => price.memory, bytesText, limitOf(state)));
    lists.Parameters.set(rows(state, (price) => price.parameters, amount));
    MODELS.forEach((name, i) => {
      const fits = state.prices[name].memory <= limitOf(state);
      verdicts[i].textContent = `${fits ? "✓" : "✗"} ${name} ${verdict(state, name)}`;
      verdicts[i].className = fits ? "pl-yes" : "pl-no";
    });
    const { reading, thinking } = state.prices.Perceiver;
    split.textContent = `Of the Perceiver's FLOPs, ${percent(reading / (reading + thinking))} read the inputs and ${percent(thinking / (reading + thinking))} are the layers on the latents.`;
    graph.name(`FLOPs over inputs. ${text}`);
  };
  return { nodes, fill, paint: graph.paint, check: finds.check };
}

function render({ model, el }) {
  const base = stage({ model, el, kind: "planner", title: "Budget planner" });
  let [now, before] = [plannerState(model), null];
  const parts = plannerParts(model, base, () => now, () => before);
  return base.run({
    parts,
    describe: () => {
      const next = plannerState(model);
      if (SIZES.some((name) => next[name] !== now[name])) before = now;
      now = next;
      return [describePlan(now), parts.check()].filter(Boolean).join(" ");
    },
    updates: {},
    needs: Object.fromEntries([...SIZES, "memory", "speed"].map((name) => [name, []])),
    notes: ["One example, forward, float32. The Transformer has the same layers, on the inputs themselves. Adapters are not counted. Bars: logarithmic scale; the mark: the laptop's memory."],
  });
}
export default { render };

// DragQuery: dots in the plane, a query to drag among them, the weights it gives and the blend that it reads.

const SIDE = 430;
const DOT = 15;
const SNAP = 0.05;  // nearer than this, the pointer means the origin or the dot
const LADDER = Array.from({ length: 45 }, (_, i) => 2 ** ((i - 22) / 4));  // four steps double the temperature
const letterOf = (i) => String.fromCharCode(65 + i);
const rounded = (value) => Math.round(value * 100) / 100;
const warmth = (value) => (value < 0.1 ? value.toPrecision(2) : value < 10 ? value.toFixed(2) : value.toFixed(1));
const placeText = (at) => at.map((part) => part.toFixed(2).replace("-", "−")).join(", ");
const css = (colour) => `rgb(${colour.map((part) => Math.round(255 * clamp(part, 0, 1))).join(" ")})`;

/** Weights of a query at (x, y) over the places; `lifted`: half of a place's squared length is taken off its score. */
function weightsAt([x, y], { places, temperature, lifted }) {
  const scores = places.map(([a, b]) => (a * x + b * y - (lifted ? (a * a + b * b) / 2 : 0)) / temperature);
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const blendOf = (weights, colours) => [0, 1, 2].map((part) => weights.reduce((sum, weight, i) => sum + weight * colours[i][part], 0));

/** Dots that no direction finds by dot products, however cold: those inside the others' outline. */
function unfound(places) {
  const winners = new Set();
  for (let turn = 0; turn < 3600; turn++) {
    const at = [Math.cos((turn * Math.PI) / 1800), Math.sin((turn * Math.PI) / 1800)];
    const weights = weightsAt(at, { places, temperature: 1e-4, lifted: false });
    winners.add(weights.indexOf(Math.max(...weights)));
  }
  return places.map((_, i) => i).filter((i) => !winners.has(i));
}

function dragState(model) {
  const names = ["places", "colours", "reach", "query", "temperature", "lifted", "kept"];
  const state = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const weights = weightsAt(state.query, state);
  const [x, y, heat, lift] = state.kept;
  const kept = { query: [x, y], temperature: heat, lifted: Boolean(lift) };
  const mark = state.kept.length ? { ...kept, weights: weightsAt(kept.query, { ...state, ...kept }) } : null;
  return { ...state, weights, mark, blend: blendOf(weights, state.colours), first: weights.indexOf(Math.max(...weights)) };
}

/** The plane in the colours that a query would read there, coarse and then smoothed. */
function paintAnswers(context, width, height, state, cells = 86) {
  const tile = create("canvas", { width: cells, height: cells });
  const pixels = tile.getContext("2d").createImageData(cells, cells);
  for (let row = 0; row < cells; row++) {
    for (let column = 0; column < cells; column++) {
      const at = [column, cells - 1 - row].map((i) => ((i + 0.5) / cells) * 2 * state.reach - state.reach);
      const colour = blendOf(weightsAt(at, state), state.colours);
      pixels.data.set([...colour.map((part) => 255 * part), 255], 4 * (row * cells + column));
    }
  }
  tile.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(tile, 0, 0, width, height);
}

function paintPlane(context, width, height, { state, style, coloured }) {
  const spot = ([x, y]) => [((x + state.reach) / (2 * state.reach)) * width, ((state.reach - y) / (2 * state.reach)) * height];
  const line = (from, to, wide, colour) => {
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.lineWidth = wide;
    context.strokeStyle = colour;
    context.stroke();
  };
  if (coloured) paintAnswers(context, width, height, state);
  const ink = coloured ? "#000000" : style("--pl-text");
  const axis = coloured ? "rgb(0 0 0 / 45%)" : style("--pl-line");
  line([0, height / 2], [width, height / 2], 1, axis);
  line([width / 2, 0], [width / 2, height], 1, axis);
  const query = spot(state.query);
  context.globalAlpha = 0.6;
  state.places.forEach((place, i) => line(query, spot(place), 0.7 + 16 * state.weights[i], ink));
  context.globalAlpha = 1;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = "bold 14px system-ui, sans-serif";
  state.places.forEach((place, i) => {
    const [x, y] = spot(place);
    for (const [radius, colour] of [[DOT + 3, ink], [DOT + 1.5, "#ffffff"], [DOT - 0.5, css(state.colours[i])]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.fillStyle = colour;
      context.fill();
    }
    context.fillStyle = "#000000";
    context.fillText(letterOf(i), x, y + 1);
  });
  if (state.mark) {
    const [x, y] = spot(state.mark.query);
    context.setLineDash([3, 3]);
    context.lineWidth = 2;
    context.strokeStyle = ink;
    context.strokeRect(x - 10, y - 10, 20, 20);
    context.setLineDash([]);
  }
  const [x, y] = query;
  for (const [half, colour] of [[13, "#ffffff"], [11.5, "#000000"], [9, css(state.blend)]]) {
    context.fillStyle = colour;
    context.fillRect(x - half, y - half, 2 * half, 2 * half);
  }
}

/** The plane, with pointer and keys. */
function dragPlane(model, { style, change, coloured }) {
  const plane = board({
    label: "Plane with dots", width: SIDE, height: SIDE,
    help: "Drag the square. Arrow keys move it, with Shift in large steps; Home brings it to the origin; a dot's letter puts it there",
    draw: (context, w, h) => paintPlane(context, w, h, { state: dragState(model), style, coloured: coloured() }),
    onkey: (event) => {
      const { places, query, reach } = dragState(model);
      const letter = event.key.length === 1 ? event.key.toUpperCase().charCodeAt(0) - 65 : -1;
      const step = ARROWS[event.key];
      if (event.key === "Home") change({ query: [0, 0] });
      else if (letter >= 0 && letter < places.length) change({ query: [...places[letter]] });
      else if (step) {
        const by = event.shiftKey ? 0.5 : 0.1;
        change({ query: [query[0] + by * step[1], query[1] - by * step[0]].map((part) => clamp(rounded(part), -reach, reach)) });
      } else return false;
      return true;
    },
  });
  let held = false;
  const to = (event) => {
    const { places, reach } = dragState(model);
    const [across, down] = plane.place(event);
    const at = [rounded((2 * across - 1) * reach), rounded((1 - 2 * down) * reach)];
    const near = [[0, 0], ...places].find(([x, y]) => Math.hypot(x - at[0], y - at[1]) < SNAP);
    change({ query: near ? [...near] : at });
  };
  plane.node.addEventListener("pointerdown", (event) => {
    held = true;
    plane.node.setPointerCapture?.(event.pointerId);
    to(event);
  });
  plane.node.addEventListener("pointermove", (event) => { if (held && event.buttons & 1) to(event); });
  for (const name of ["pointerup", "pointercancel"]) plane.node.addEventListener(name, () => { held = false; });
  return plane;
}

/** What there is to find out. */
function dragFinds(model) {
  const now = () => dragState(model);
  const far = (point) => Math.hypot(...point);
  const [hidden] = unfound(model.get("places"));
  const equal = {
    task: "Where are all weights equal, at every temperature?",
    found: () => (far(now().query) < 1e-9 && !now().lifted ? "At the origin: there every score is zero." : null),
  };
  const name = letterOf(hidden ?? 0);
  const never = {
    task: `Put the query on ${name}. Can it get more than the others? And with one number more?`,
    found: () => {
      const { query, places, lifted, first, weights } = now();
      const there = far([query[0] - places[hidden][0], query[1] - places[hidden][1]]) < 0.15;
      return there && lifted && first === hidden ? `With dot products never, wherever the query stands; with one number more it gets ${percent(weights[hidden])} here, the most.` : null;
    },
  };
  const ratio = {
    task: "Keep the weights of a place. Go twice as far out: which temperature brings them back?",
    found: () => {
      const { query, temperature, lifted, weights, mark } = now();
      if (!mark || lifted || mark.lifted || far(mark.query) < 0.2) return null;
      const [out, hot] = [far(query) / far(mark.query), temperature / mark.temperature];
      const apart = Math.max(...weights.map((weight, i) => Math.abs(weight - mark.weights[i])));
      const spread = Math.max(...mark.weights) - Math.min(...mark.weights);
      return out > 1.5 && spread > 0.1 && apart < 0.02 ? `${out.toFixed(1)} times as far out, ${hot.toFixed(1)} times as hot: only the ratio counts.` : null;
    },
  };
  return discoveries([equal, ...(hidden === undefined ? [] : [never]), ratio]);
}

function describeDrag({ query, temperature, lifted, weights, blend, first }) {
  const shares = weights.map((weight, i) => `${letterOf(i)} ${percent(weight)}`).join(", ");
  const level = Math.max(...weights) - Math.min(...weights) < 0.005;
  return `Query at (${placeText(query)}), temperature ${warmth(temperature)}${lifted ? ", one number more" : ""}. ${level ? "All get the same" : `${letterOf(first)} gets most`}: ${shares}. Blend: red ${blend[0].toFixed(2)}, green ${blend[1].toFixed(2)}, blue ${blend[2].toFixed(2)}.`;
}

function dragParts(model, { style, change, show }) {
  const answers = checkbox({ label: "Paint what is read at every place", value: false, onchange: () => show() });
  const plane = dragPlane(model, { style, change, coloured: () => answers.box.checked });
  const steps = [...new Set([...LADDER, model.get("temperature")])].sort((a, b) => a - b);
  const heat = slider({
    label: "Temperature", max: steps.length - 1, value: steps.indexOf(model.get("temperature")), text: (i) => warmth(steps[i]),
    oninput: (i) => change({ temperature: steps[i] }),
  });
  const kind = select({
    label: "Scores", value: Number(model.get("lifted")), options: [[0, "dot product"], [1, "one number more (nearest)"]],
    onchange: (value) => change({ lifted: value === "1" }),
  });
  const keep = () => {
    const { query, temperature, lifted } = dragState(model);
    change({ kept: [...query, temperature, Number(lifted)] });
  };
  const weights = bars("Weights of the dots");
  const swatch = create("div", { class: "pl-swatch", role: "img" });
  const numbers = create("p", { class: "pl-note" });
  const compared = create("p", { class: "pl-note" });
  const finds = dragFinds(model);
  const panel = create("div", { class: "pl-panel" }, create("p", { class: "pl-title" }, "Weights"), weights.node,
    create("p", { class: "pl-title pl-gap" }, "What the query reads"), swatch, numbers,
    create("div", { class: "pl-action" }, button("Keep these weights", keep, { title: "Marks on the bars show them from then on" })), compared);
  const nodes = [create("div", { class: "pl-controls" }, heat.node, kind.node, answers.node),
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, plane.node, create("p", { class: "pl-note" }, "Square: the query, in the colour that it reads. Lines: as thick as the weights.")),
      panel, finds.node)];
  const fill = (text) => {
    const state = dragState(model);
    const at = steps.findIndex((step) => Math.abs(step - state.temperature) < 1e-9);
    if (at >= 0) heat.set(at);
    kind.set(Number(state.lifted));
    weights.set(state.weights.map((weight, i) => ({ name: letterOf(i), value: weight, mark: state.mark?.weights[i] ?? null, text: weight.toFixed(3), strong: i === state.first })));
    state.colours.forEach((colour, i) => { weights.node.children[i].querySelector(".pl-fill").style.background = css(colour); });
    swatch.style.background = css(state.blend);
    const parts = state.blend.map((part) => part.toFixed(2));
    swatch.setAttribute("aria-label", `Blend: red ${parts[0]}, green ${parts[1]}, blue ${parts[2]}`);
    numbers.textContent = `red ${parts[0]}, green ${parts[1]}, blue ${parts[2]}`;
    const { mark } = state;
    compared.textContent = mark ? `Kept, as marks: query (${placeText(mark.query)}), temperature ${warmth(mark.temperature)}.` : "";
    plane.name(`Plane with dots. ${text}`);
  };
  return { nodes, fill, paint: plane.paint, check: finds.check };
}

function render({ model, el }) {
  const { style, change, show, run } = stage({ model, el, kind: "drag", title: "Drag a query" });
  const parts = dragParts(model, { style, change, show });
  const shown = ["query", "temperature", "lifted", "kept", "places", "colours"];
  return run({
    parts,
    describe: () => [describeDrag(dragState(model)), parts.check()].filter(Boolean).join(" "),
    updates: {},
    needs: Object.fromEntries(shown.map((name) => [name, []])),
  });
}
export default { render };

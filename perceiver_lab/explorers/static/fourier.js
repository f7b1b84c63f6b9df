// FourierBandwidth: frequencies on a line, one band as a curve with its samples, all bands as an image, how well
// cells are told apart, and a fit of a signal. Positions of M cells are linspace(-1, 1, M), ends included.

const WIDE = 460;
const exact = (v) => String(+v.toFixed(2));

function linspace(first, last, count) {
  return Array.from({ length: count }, (_, i) => (count === 1 ? first : first + ((last - first) * i) / (count - 1)));
}

/** The frequency from 0 to (M - 1) / 2 that has the same samples, up to sign, on M cells. */
function aliasOf(frequency, cells) {
  const around = frequency % (cells - 1);
  return Math.min(around, cells - 1 - around);
}

/** [x | sines | cosines] of each position. */
function features(positions, frequencies) {
  return positions.map((x) => [1, x, ...frequencies.map((f) => Math.sin(Math.PI * f * x)), ...frequencies.map((f) => Math.cos(Math.PI * f * x))]);
}

/** Ridge regression by elimination: (AᵀA + penalty I) w = Aᵀy. */
function ridge(rows, targets, penalty) {
  const width = rows[0].length;
  const system = Array.from({ length: width }, (_, i) => {
    const line = new Float64Array(width + 1);
    rows.forEach((row, r) => {
      for (let j = 0; j < width; j++) line[j] += row[i] * row[j];
      line[width] += row[i] * targets[r];
    });
    line[i] += penalty;
    return line;
  });
  for (let i = 0; i < width; i++) {  // the matrix is positive definite: no pivoting needed
    for (let k = i + 1; k < width; k++) {
      const factor = system[k][i] / system[i][i];
      if (factor) for (let j = i; j <= width; j++) system[k][j] -= factor * system[i][j];
    }
  }
  const weights = new Float64Array(width);
  for (let i = width - 1; i >= 0; i--) {
    let rest = system[i][width];
    for (let j = i + 1; j < width; j++) rest -= system[i][j] * weights[j];
    weights[i] = rest / system[i][i];
  }
  return weights;
}

function interpolate(values, position) {
  const at = ((position + 1) / 2) * (values.length - 1);
  const low = Math.min(values.length - 2, Math.floor(at));
  return values[low] + (at - low) * (values[low + 1] - values[low]);
}

/** A fit at the cells and its error at all values of the signal. */
function fitSignal(signal, cells, frequencies) {
  const at = linspace(-1, 1, cells);
  const samples = at.map((x) => interpolate(signal, x));
  const weights = ridge(features(at, frequencies), samples, 1e-3);
  const everywhere = linspace(-1, 1, signal.length);
  const fitted = features(everywhere, frequencies).map((row) => row.reduce((sum, v, i) => sum + v * weights[i], 0));
  const span = Math.max(...signal) - Math.min(...signal) || 1;
  const error = fitted.reduce((sum, v, i) => sum + (v - signal[i]) ** 2, 0) / signal.length;
  return { at, samples, everywhere, fitted, psnr: 10 * Math.log10(span ** 2 / Math.max(error, 1e-12)) };
}

function plotter(context, width, height, [low, high], pad = 8) {
  const x = (v) => pad + ((v + 1) / 2) * (width - 2 * pad);
  const y = (v) => height - pad - ((v - low) / (high - low)) * (height - 2 * pad);
  return {
    x, y,
    line(xs, ys, colour, { dash = [], wide = 1.8 } = {}) {
      context.beginPath();
      xs.forEach((v, i) => (i ? context.lineTo(x(v), y(ys[i])) : context.moveTo(x(v), y(ys[i]))));
      context.strokeStyle = colour;
      context.lineWidth = wide;
      context.setLineDash(dash);
      context.stroke();
      context.setLineDash([]);
    },
    dots(xs, ys, colour, radius = 3.5) {
      context.fillStyle = colour;
      xs.forEach((v, i) => { context.beginPath(); context.arc(x(v), y(ys[i]), radius, 0, 7); context.fill(); });
    },
  };
}

/** Orange through white to violet (PuOr), -1 to 1. */
function signedColour(value) {
  const [end, share] = [value < 0 ? [179, 88, 6] : [84, 39, 136], Math.min(1, Math.abs(value))];
  return `rgb(${end.map((c) => Math.round(247 + (c - 247) * share)).join(",")})`;
}

function facts(model) {
  const [cells, count, resolution] = ["cells", "num_bands", "max_resolution"].map((name) => model.get(name));
  const frequencies = linspace(1, resolution / 2, count);
  const band = Math.min(model.get("band"), count);
  return { cells, count, resolution, frequencies, band, chosen: frequencies[band - 1], nyquist: (cells - 1) / 2 };
}

const painters = (model, style) => ({
  frequencies(context, width, height) {
    const { frequencies, nyquist, band, cells } = facts(model);
    const end = Math.max(frequencies[frequencies.length - 1], cells / 2) * 1.08;
    const [x, base] = [(f) => 10 + (f / end) * (width - 20), height - 22];
    context.fillStyle = style("--pl-faint");
    context.fillRect(x(nyquist), 14, width - 10 - x(nyquist), base - 14);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    frequencies.forEach((f, i) => {
      const beyond = f > nyquist;
      context.strokeStyle = style(beyond ? "--pl-orange" : "--pl-blue");
      context.lineWidth = i === band - 1 ? 4 : 2;
      context.setLineDash(beyond ? [3, 2] : []);
      context.beginPath();
      context.moveTo(x(f), base);
      context.lineTo(x(f), i === band - 1 ? 14 : 24);
      context.stroke();
    });
    context.setLineDash([]);
    context.strokeStyle = style("--pl-text");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(10, base);
    context.lineTo(width - 10, base);
    context.moveTo(x(nyquist), 8);
    context.lineTo(x(nyquist), base + 4);
    context.stroke();
    context.fillStyle = style("--pl-text");
    context.textAlign = "left";
    context.fillText("0", 8, base + 6);
    const label = `Nyquist, (M − 1)/2: ${nyquist} turns`;
    const half = context.measureText(label).width / 2;
    context.textAlign = "center";
    context.fillText(label, clamp(x(nyquist), 26 + half, width - 10 - half), base + 6);
  },
  curve(context, width, height) {
    const { cells, chosen, nyquist } = facts(model);
    const plot = plotter(context, width, height, [-1.15, 1.15]);
    const fine = linspace(-1, 1, 900);
    const at = linspace(-1, 1, cells);
    plot.line(fine, fine.map((x) => Math.sin(Math.PI * chosen * x)), style("--pl-blue"), { wide: 1.2 });
    if (chosen > nyquist) {
      const other = aliasOf(chosen, cells);
      // Of the two signs, the one that goes through the samples.
      const fits = (sign) => Math.max(...at.map((x) => Math.abs(Math.sin(Math.PI * chosen * x) - sign * Math.sin(Math.PI * other * x))));
      const sign = fits(1) <= fits(-1) ? 1 : -1;
      plot.line(fine, fine.map((x) => sign * Math.sin(Math.PI * other * x)), style("--pl-orange"), { dash: [7, 4], wide: 2.4 });
    }
    plot.dots(at, at.map((x) => Math.sin(Math.PI * chosen * x)), style("--pl-text"));
  },
  image(context, width, height) {
    const { cells, frequencies, band } = facts(model);
    const [w, h] = [width / cells, height / frequencies.length];
    linspace(-1, 1, cells).forEach((x, column) => frequencies.forEach((f, row) => {
      context.fillStyle = signedColour(Math.sin(Math.PI * f * x));
      context.fillRect(column * w, row * h, w + 0.5, h + 0.5);
    }));
    context.strokeStyle = style("--pl-green");
    context.lineWidth = 3;
    context.strokeRect(1.5, (band - 1) * h + 1.5, width - 3, Math.max(1, h - 3));
  },
  likeness(context, width, height) {
    const { cells, frequencies } = facts(model);
    const at = linspace(-1, 1, cells);
    const centre = at[Math.floor(cells / 2)];
    // sin a sin b + cos a cos b = cos(a - b), averaged over the bands
    const same = (x) => frequencies.reduce((sum, f) => sum + Math.cos(Math.PI * f * (x - centre)), 0) / frequencies.length;
    const plot = plotter(context, width, height, [-1.1, 1.1]);
    plot.line([-1, 1], [0, 0], style("--pl-line"), { wide: 1 });
    plot.line(at, at.map(same), style("--pl-blue"));
    plot.dots(at, at.map(same), style("--pl-text"), 3);
    plot.dots([centre], [1], style("--pl-orange"), 6);
  },
  fit(context, width, height) {
    const { cells, frequencies } = facts(model);
    const signal = model.get("signal");
    const { at, samples, everywhere, fitted } = fitSignal(signal, cells, frequencies);
    const [low, high] = [Math.min(...signal), Math.max(...signal)];
    const room = 0.35 * (high - low || 1);
    const plot = plotter(context, width, height, [low - room, high + room]);
    plot.line(everywhere, signal, style("--pl-line"), { wide: 3 });
    plot.line(everywhere, fitted, style("--pl-orange"), { wide: 1.8 });
    plot.dots(at, samples, style("--pl-text"), 3);
  },
});

function describeBands(model) {
  const { cells, frequencies, chosen, nyquist, band } = facts(model);
  const beyond = frequencies.filter((f) => f > nyquist).length;
  const parts = [`Nyquist for ${cells} cells: ${exact(nyquist)} turns.`];
  if (chosen > nyquist) parts.push(`Band ${band} makes ${exact(chosen)} turns: beyond Nyquist. On these cells it cannot be told from ${exact(aliasOf(chosen, cells))} turns.`);
  else parts.push(`Band ${band} makes ${exact(chosen)} turns, one in every ${exact((cells - 1) / chosen)} cells.`);
  if (frequencies.length > 1 && model.get("max_resolution") === cells) parts.push(`The paper's rule, resolution = cells, puts the last band at M/2, half a turn past it.`);
  parts.push(beyond ? `${beyond} of ${frequencies.length} bands lie beyond Nyquist.` : "No band lies beyond.");
  if (model.get("signal").length) parts.push(`Fit between the cells: ${fitSignal(model.get("signal"), cells, frequencies).psnr.toFixed(1)} dB.`);
  return parts.join(" ");
}

function fourierFinds(model) {
  let held = -Infinity;  // the best fit with no band beyond Nyquist
  const fit = {
    task: "Put bands beyond Nyquist. What becomes of the fit between the cells?",
    found: () => {
      const { cells, frequencies, nyquist } = facts(model);
      const { psnr } = fitSignal(model.get("signal"), cells, frequencies);
      const beyond = frequencies.filter((f) => f > nyquist).length;
      if (!beyond) held = Math.max(held, psnr);
      return beyond ? `${psnr.toFixed(1)} dB with ${beyond} beyond${held > -Infinity ? `, ${held.toFixed(1)} dB with none` : ""}.` : null;
    },
  };
  if (model.get("signal").length) fit.found();
  return discoveries([
    {
      task: "Draw a band beyond Nyquist. Which slower wave goes through the same dots?",
      found: () => {
        const { chosen, nyquist, cells } = facts(model);
        return chosen > nyquist ? `On ${cells} cells, ${exact(chosen)} turns look like ${exact(aliasOf(chosen, cells))}.` : null;
      },
    },
    ...(model.get("signal").length ? [fit] : []),
    {
      task: "Find two bands whose rows of sines are the same, sign aside.",
      found: () => {
        const { cells, frequencies } = facts(model);
        const slow = frequencies.map((f) => aliasOf(f, cells));
        const second = slow.findIndex((f, i) => slow.findIndex((other) => Math.abs(f - other) < 1e-6) < i);
        const first = slow.findIndex((f) => Math.abs(f - slow[second]) < 1e-6);
        return second < 0 ? null : `Bands ${first + 1} and ${second + 1}: ${exact(frequencies[first])} and ${exact(frequencies[second])} turns on ${cells} cells.`;
      },
    },
  ]);
}

function render({ model, el }) {
  const boards = {};
  const page = mount(el, "fourier", "Fourier bandwidth", () => Object.values(boards).forEach((b) => b.paint()));
  const set = keeper(model);
  const words = readout();
  const draw = painters(model, page.style);
  const ranges = { cells: [4, 64, "Cells M"], max_resolution: [2, 128, "Max resolution"], num_bands: [1, 32, "Bands"], band: [1, 32, "Band drawn"] };
  const sliders = Object.fromEntries(Object.entries(ranges).map(([name, [min, max, label]]) => [name, slider({
    label, min, max, value: model.get(name),
    oninput: (v) => set(name === "num_bands" && (model.get("band") > v || model.get("band") === model.get("num_bands")) ? { num_bands: v, band: v } : { [name]: v }),
  })]));
  const move = (name, step) => (event) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!by) return false;
    set({ [name]: clamp(model.get(name) + by * step, 1, name === "band" ? model.get("num_bands") : 128) });
    return true;
  };
  const make = (name, label, width, height, keys = null) => {
    boards[name] = (keys ? board : still)({ label, width, height, draw: draw[name], onkey: keys });
    return boards[name].node;
  };
  const finds = fourierFinds(model);
  const [caption, fitTitle] = [create("p", { class: "pl-title" }), create("p", { class: "pl-title" })];
  const panel = (title, node, note) => create("div", { class: "pl-panel" }, title, node, create("p", { class: "pl-note" }, note));
  const text = (words) => create("p", { class: "pl-title" }, words);
  page.root.append(
    create("div", { class: "pl-controls" }, ...Object.values(sliders).map((s) => s.node)),
    create("div", { class: "pl-columns" },
      panel(text("Frequencies of the bands"), make("frequencies", "Frequencies of the bands", WIDE, 84, move("band", 1)), "Blue: told apart. Orange, dashed, on grey: beyond Nyquist. Arrow keys choose the band drawn."),
      panel(caption, make("curve", "The band drawn", WIDE, 130), "Dots: what the cells see. Dashed: the slower wave through the same dots."),
      panel(text("All sine features: a row for each band, a column for each cell"), make("image", "Sine features", WIDE, 150), "Orange −1, white 0, violet 1. Outlined: the band drawn."),
      panel(text("How much each cell's features resemble the middle cell's"), make("likeness", "Likeness to the middle cell", WIDE, 150), "One peak: the cell is found. Other peaks as high: cells that look the same."),
      model.get("signal").length ? panel(fitTitle, make("fit", "Fit of the signal", WIDE, 150), "Grey: the signal. Dots: the values at the cells. Orange: ridge regression on the features.") : null,
      finds.node),
    words.node);
  let [planned, moved] = [false, false];  // what is there at first is nobody's finding
  function show() {
    for (const [name, control] of Object.entries(sliders)) {
      if (name === "band") control.range(1, model.get("num_bands"));
      control.set(Math.min(model.get(name), name === "band" ? model.get("num_bands") : 128));
    }
    const { band, chosen, cells, frequencies } = facts(model);
    caption.textContent = `Band ${band}: ${+chosen.toFixed(2)} turns on ${cells} cells`;
    if (model.get("signal").length) fitTitle.textContent = `Fit at the cells, ${fitSignal(model.get("signal"), cells, frequencies).psnr.toFixed(1)} dB between them`;
    const sentence = describeBands(model);
    boards.frequencies.name(`Frequencies of the bands. ${sentence}`);
    boards.curve.name(`Band ${band} as a curve with its samples. ${sentence}`);
    words.say([sentence, moved && finds.check()].filter(Boolean).join(" "));
    Object.values(boards).forEach((b) => b.paint());
  }
  const soon = () => {
    moved = true;
    if (planned) return;
    planned = true;
    queueMicrotask(() => { planned = false; show(); });
  };
  const names = [...Object.keys(ranges), "signal"];
  for (const name of names) model.on(`change:${name}`, soon);
  show();
  return () => {
    for (const name of names) model.off(`change:${name}`, soon);
    words.stop();
    page.stop();
  };
}
export default { render };

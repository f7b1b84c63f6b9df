// ContextRuler, first part: what a pass costs, the ruler and the map as pictures, and what they say in words.

const RULER = { width: 960, height: 168, bars: 84, top: 98, cell: 24 };
const NARROW = { below: 0.7, height: 192 }; // a page on which the ruler is drawn smaller than this: room for larger numbers
const MAP_SIDE = 200;
const COST_LADDERS = {
  context: Array.from({ length: 12 }, (_, i) => 2 ** (6 + i)),
  latents: Array.from({ length: 13 }, (_, i) => 2 ** i),
};
const WIDER = 4;

/** FLOPs of one pass; the same formulas as in ruler_model.py, which tests compare with the library's own count. */
function passCost(context, wanted, { channels: d, layers, vocabulary }) {
  const [m, n] = [context, Math.min(wanted, context)];
  const read = 3 * n * d * d + 2 * m * d * d + 2 * n * m * d + 2 * WIDER * n * d * d;
  const layerOf = (rows) => 4 * rows * d * d + 2 * rows * rows * d + 2 * WIDER * rows * d * d;
  return {
    perceiver: 2 * (read + layers * layerOf(n) + n * d * vocabulary),
    transformer: 2 * ((layers + 1) * layerOf(m) + 2 * m * d * d + m * d * vocabulary),
    spoken: n,
  };
}

function flopsText(value) {
  for (const [size, name] of [[1e15, "quadrillion"], [1e12, "trillion"], [1e9, "billion"], [1e6, "million"]]) {
    if (value >= size) return `${(value / size).toPrecision(3)}\u00a0${name}`;
  }
  return grouped(value);
}

const tokenSign = (token) => ({ 1: "■", 2: "▶" }[token] ?? (token - 3).toString(16).toUpperCase().padStart(2, "0"));
const tokenName = (token) => ({ 1: "the end", 2: "the start" }[token] ?? `symbol ${tokenSign(token)}`);

/** The weights of one place. */
function weightsOf({ tiles, peaks, size }, head, place) {
  const row = (head + 1) * size + place;
  return Array.from({ length: size }, (_, i) => (peaks[row] * tiles[row * size + i]) / 255);
}

/** How large the ruler is drawn: 1, or less where the page is narrower than it. */
const rulerScale = (node) => Math.min(1, node.getBoundingClientRect().width / RULER.width) || 1;

function paintRuler(context, width, height, { view, style, scale }) {
  const { place, size, tokens, weights, most, double, latents, middle } = view;
  const [step, { bars, top, cell }] = [width / size, RULER];
  const x = (i) => i * step;
  const narrow = scale < NARROW.below; // symbols could not be read in its cells; numbers stay as large as on wide pages
  const number = narrow ? 11 / scale : 11;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let i = 0; i < size; i += 1) {
    const seen = i <= place;
    if (seen) {
      context.fillStyle = style(i === most ? "--pl-orange" : "--pl-blue");
      context.fillRect(x(i) + 1.5, top - 6 - bars * weights[i], step - 3, bars * weights[i]);
    }
    context.fillStyle = style(seen ? "--pl-panel" : "--pl-faint");
    context.strokeStyle = style("--pl-line");
    context.lineWidth = 1;
    context.fillRect(x(i) + 0.5, top, step - 1, cell);
    context.strokeRect(x(i) + 0.5, top + 0.5, step - 1, cell - 1);
    context.fillStyle = style(seen ? "--pl-text" : "--pl-soft");
    context.font = `${seen ? 10 : 12}px ui-monospace, monospace`;
    if (!narrow || !seen) context.fillText(seen ? tokenSign(tokens[i]) : i === place + 1 ? "?" : "╱", x(i) + step / 2, top + cell / 2 + 0.5);
    if (narrow ? i % 16 === 0 : i % 8 === 0 || i === size - 1) {
      context.font = `${number}px system-ui, sans-serif`;
      context.fillStyle = style("--pl-soft");
      context.fillText(String(i), Math.max(x(i) + step / 2, number / 3), top + cell + 28 + number / 2);
    }
  }
  context.strokeStyle = style("--pl-line");
  context.beginPath();
  context.moveTo(0, top - 5.5);
  context.lineTo(width, top - 5.5);
  context.stroke();
  if (middle !== null) {
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x(middle), 4);
    context.lineTo(x(middle), top + cell + 26);
    context.stroke();
    context.setLineDash([]);
  }
  context.fillStyle = style("--pl-pink");
  context.fillRect(x(latents[0]) + 1, top + cell + 4, x(latents[1] + 1) - x(latents[0]) - 2, 4);
  context.strokeStyle = style("--pl-pink");
  context.lineWidth = 3;
  context.strokeRect(x(place) + 1, top - 1, step - 2, cell + 2);
  if (double !== null) {
    const [a, y] = [x(double) + step / 2, top + cell + 11];
    context.fillStyle = style("--pl-green");
    context.beginPath();
    context.moveTo(a, y);
    context.lineTo(a - 5, y + 9);
    context.lineTo(a + 5, y + 9);
    context.fill();
  }
}

/** The weights of all places as one picture, the present row framed. */
function mapLayer(table) {
  let [kept, layer] = ["", null];
  return (read, head) => {
    const key = `${read.sequence} ${head}`;
    if (key === kept) return layer;
    const { size, tiles, peaks } = read;
    const image = new ImageData(size, size);
    for (let row = 0; row < size; row += 1) {
      const at = (head + 1) * size + row;
      for (let i = 0; i < size; i += 1) {
        const colour = 3 * Math.round(Math.min(1, peaks[at]) * tiles[at * size + i]);
        const pixel = 4 * (row * size + i);
        image.data.set([table[colour], table[colour + 1], table[colour + 2], i <= row ? 255 : 60], pixel);
      }
    }
    layer = new OffscreenCanvas(size, size);
    layer.getContext("2d").putImageData(image, 0, 0);
    kept = key;
    return layer;
  };
}

function describePlace(view) {
  const { place, size, head, most, weights, double, said, truth, latents, target } = view;
  const [guess, sure] = said.top[0];
  const count = latents[1] - latents[0] + 1;
  const looks = `It looks most at place ${most}, ${percent(weights[most])} of its weight${head < 0 ? "" : ` in head ${head}`}${most === double ? ", the double of what comes" : ""}.`;
  const right = guess === target ? "right" : `but ${tokenName(target)} comes, which got ${chance(truth)}`;
  return `Latent at place ${place}, one of ${count}: it may see places 0 to ${place}, and none of the other ${size - 1 - place}. ${looks} It says: ${tokenName(guess)}, ${chance(sure)}, ${right}.`;
}

function describeCost({ context, cost }) {
  const { perceiver, transformer, spoken } = cost;
  const each = (perceiver / spoken) / (transformer / context);
  return `With M = ${grouped(context)} and N = ${grouped(spoken)}, a pass of the Perceiver AR takes ${flopsText(perceiver)} FLOPs, of the Transformer ${flopsText(transformer)}: ${(transformer / perceiver).toPrecision(3)} times as many. For each token that it says, the Perceiver AR takes ${each.toPrecision(3)} times the Transformer's.`;
}

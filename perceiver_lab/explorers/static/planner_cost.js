// BudgetPlanner, first part: what the two models cost. The same formulas as in planner.py, which tests compare with the
// library's own count.

const [HEADS, CLASSES, FLOAT_BYTES] = [8, 1000, 4];
const KINDS = {
  image: {
    name: "image", unit: "pixels a side", channels: 261, inputs: (size) => size * size,
    sizes: [8, 16, 28, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024],
  },
  sound: {
    name: "sound at 16 kHz", unit: "s", channels: 130, inputs: (size) => Math.round(16000 * size),
    sizes: [0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 60],
  },
  text: {
    name: "text", unit: "bytes", channels: 256, inputs: (size) => size,
    sizes: Array.from({ length: 15 }, (_, i) => 2 ** (6 + i)),
  },
};
const LADDERS = {
  num_latents: Array.from({ length: 13 }, (_, i) => 2 ** i),
  channels: [32, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048],
  num_layers: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48],
};
// When the library reads in chunks on a CPU, and how long a chunk is: `loop`, `choose_implementation` and `default_chunk` in
// ops/attention.py. Heads wider than `narrow` need 16 times as many scores.
const CHUNKS = { fromScores: 2 ** 20, narrow: 64, stepScores: 2 ** 18, shortest: 256, longest: 2 ** 12 };

const linearSize = (rows, columns) => rows * columns + columns;
const layerSize = (d) => 4 * d + 6 * linearSize(d, d);
/** Multiply-adds of one layer on n rows. */
const layerProducts = (n, d) => ({ projections: 4 * n * d * d, scores: 2 * n * n * d, mlp: 2 * n * d * d });
const sumOf = (parts) => Object.values(parts).reduce((a, b) => a + b, 0);

function chunkOf(rows) {
  const chunk = Math.max(Math.floor(CHUNKS.stepScores / rows), CHUNKS.shortest);
  return Math.min(2 ** Math.floor(Math.log2(chunk)), CHUNKS.longest);
}

/** Inputs of one step, where steps share them evenly. */
const stepOf = (inputs, rows) => Math.ceil(inputs / Math.ceil(inputs / chunkOf(rows)));

/** Scores and weights that self-attention among n rows holds at once. */
function heldByLayer(n, d, folded) {
  const from = CHUNKS.fromScores * (d / HEADS <= CHUNKS.narrow ? 1 : 16);
  return 2 * HEADS * n * (folded && HEADS * n * n > from ? stepOf(n, HEADS * n) : n);
}

function transformerPrice(M, C, { channels: D, num_layers: L, folded }) {
  const parameters = linearSize(C, D) + L * layerSize(D) + 2 * D + linearSize(D, CLASSES);
  return {
    parameters,
    products: M * C * D + L * sumOf(layerProducts(M, D)) + D * CLASSES,
    memory: FLOAT_BYTES * (parameters + M * C + 2 * M * D + heldByLayer(M, D, folded)),
  };
}

function perceiverPrice(M, C, { num_latents: N, channels: D, num_layers: L, folded }) {
  const read = 4 * D + 2 * C + linearSize(D, C) + 2 * linearSize(C, C) + linearSize(C, D) + 2 * linearSize(D, D);
  const parameters = N * D + read + L * layerSize(D) + linearSize(D, CLASSES);
  const plain = 2 * M * C * C + 2 * N * M * C;
  const regrouped = 2 * N * M * C + 2 * N * C * C;
  const reading = 2 * N * D * C + (folded ? Math.min(plain, regrouped) : plain) + 2 * N * D * D;
  const thinking = L * sumOf(layerProducts(N, D));
  const chunked = folded && N * M > CHUNKS.fromScores;
  const scores = N * (chunked ? stepOf(M, N) : M);
  const held = Math.max(folded ? 0 : 3 * M * C, (chunked ? 0 : M * C) + 2 * scores, heldByLayer(N, D, folded));
  return {
    parameters, reading, thinking,
    products: reading + thinking + D * CLASSES,
    memory: FLOAT_BYTES * (parameters + M * C + 2 * N * D + held),
  };
}

function budgetOf(state) {
  const { channels, inputs } = KINDS[state.kind];
  const M = inputs(state[state.kind]);
  const at = (m) => ({ Perceiver: perceiverPrice(m, channels, state), Transformer: transformerPrice(m, channels, state) });
  return { M, C: channels, at, prices: at(M) };
}

/** 1234 -> 1 234, 1.23 million, ... */
function amount(value, digits = 3) {
  for (const [size, name] of [[1e15, "quadrillion"], [1e12, "trillion"], [1e9, "billion"], [1e6, "million"]]) {
    if (value >= size) return `${(value / size).toPrecision(digits)}\u00a0${name}`;
  }
  return grouped(value);
}

function bytesText(value) {
  for (const [size, name] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"]]) {
    if (value >= size) return `${value / size < 999.5 ? (value / size).toPrecision(3) : Math.round(value / size)}\u00a0${name}`;
  }
  return `${(value / 1024).toPrecision(3)}\u00a0KiB`;
}

function secondsText(value) {
  const short = (number) => (number < 10 ? number.toPrecision(2) : grouped(number));
  if (value < 0.001) return "under a millisecond";
  if (value < 1) return `${short(1000 * value)}\u00a0ms`;
  for (const [size, name] of [[86400, "days"], [3600, "hours"], [60, "minutes"]]) {
    if (value >= 2 * size) return `${grouped(value / size)}\u00a0${name}`;
  }
  return `${short(value)}\u00a0s`;
}

// MaskPainter, first part: bytes and words of a text, the painted line, and what it says in words.

const MOST_COLUMNS = 32;  // bytes in a line, fewer where there is no room
const CELL = [28, 74];  // of a byte: its letter, its number, the guess, the surprise
const MOST_BITS = 8;  // the surprise of who knows nothing: one of 256
const SPECIAL = ["PAD", "BOS", "EOS", "MASK", "CLS", "SEP"];
const SIGNS = { 32: ["␣", "space"], 10: ["↵", "new line"], 9: ["⇥", "tab"] };

const encoded = (text) => [...new TextEncoder().encode(text)];
const bits = (value) => `${value.toFixed(2)}\u00a0bits`;

/** A byte in a character or two; special ids lie below 0. */
function signOf(byte) {
  if (byte < 0) return SPECIAL[byte + SPECIAL.length];
  return SIGNS[byte]?.[0] ?? (byte > 32 && byte < 127 ? String.fromCharCode(byte) : byte.toString(16).toUpperCase().padStart(2, "0"));
}

/** The same for the ear. */
function nameOf(byte) {
  if (byte < 0) return signOf(byte);
  if (SIGNS[byte]) return SIGNS[byte][1];
  return byte > 32 && byte < 127 ? `“${signOf(byte)}”` : `byte ${byte}`;
}

/** Why a text cannot be read, or null. */
function problemOf(text, length) {
  if (/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text)) {
    return "This text has half a character in it, which UTF-8 cannot write. Delete it.";
  }
  const size = encoded(text).length;
  if (!size) return "There is no text: type at least one letter.";
  return size > length ? `This text has ${size} bytes; the model reads at most ${length}. Delete at least ${size - length}.` : null;
}

/** [start, end] of each word: letters, digits and apostrophes; `WORD` in painter_export.py finds the same. */
function wordsOf(bytes) {
  const inside = (byte) => byte >= 128 || byte === 39 || /[0-9A-Za-z]/.test(String.fromCharCode(byte));
  const found = [];
  bytes.forEach((byte, i) => {
    if (!inside(byte)) return;
    if (found.length && found.at(-1)[1] === i) found.at(-1)[1] += 1;
    else found.push([i, i + 1]);
  });
  return found;
}

const rangeOf = (start, end) => Array.from({ length: end - start }, (_, i) => start + i);

/** Every seventh place or so, from a place on; `smudge` in painter.py makes the same. */
const smudgeOf = (size, start, step) => rangeOf(0, size).filter((i) => i >= Math.min(start, size - 1) && (i - Math.min(start, size - 1)) % step === 0);

/** Characters of several bytes: [first byte, how many bytes, the character]. */
function charactersOf(text) {
  let at = 0;
  return [...text].map((character) => {
    const size = encoded(character).length;
    at += size;
    return [at - size, size, character];
  });
}

/** What stays hidden when a text is edited: what lies before the change, and after it, moved along. */
function movedAlong(hidden, before, after) {
  const least = Math.min(before.length, after.length);
  let [head, tail] = [0, 0];
  while (head < least && before[head] === after[head]) head += 1;
  while (tail < least - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return hidden.filter((i) => i < head || i >= before.length - tail).map((i) => (i < head ? i : i + after.length - before.length));
}

/** On a saved page: of what is hidden the run at a place, or the nearest, no longer than the page has answers for. */
function oneRun(hidden, at, longest) {
  if (!hidden.length) return [];
  const set = new Set(hidden);
  let start = hidden.reduce((best, i) => (Math.abs(i - at) < Math.abs(best - at) ? i : best));
  let end = start + 1;
  while (end - start < longest && (set.has(start - 1) || set.has(end))) {
    if (set.has(start - 1)) start -= 1;
    else end += 1;
  }
  return rangeOf(start, end);
}

/** Bytes in a line of a page so wide; a page that is not laid out yet has no width. */
const columnsFor = (width) => (width ? clamp(4 * Math.floor(width / CELL[0] / 4), 4, MOST_COLUMNS) : MOST_COLUMNS);
const placeOf = (i, columns) => [(i % columns) * CELL[0], Math.floor(i / columns) * CELL[1]];

/** The whole line but for cursor and selection, drawn anew only when it changes: moving over 1,024 bytes stays quick. */
function lineLayer(table, style) {
  let [kept, from] = [null, ""];
  return (line, columns, context, width, height) => {
    const size = [context.canvas.width, context.canvas.height];
    const look = `${style("--pl-text")} ${size}`;
    if (kept?.line !== line || from !== look) {
      const canvas = new OffscreenCanvas(...size);
      const own = canvas.getContext("2d");
      own.setTransform(context.getTransform());
      paintBytes(own, { ...line, columns, table, style });
      kept = { line, canvas };
      from = look;
    }
    context.drawImage(kept.canvas, 0, 0, width, height);
  };
}

/** The line with what is selected and looked at. */
function paintLine(context, width, height, { line, columns, cursor, anchor, drawn, style }) {
  const [wide, tall] = CELL;
  context.fillStyle = style("--pl-faint");
  const [low, high] = [Math.min(cursor, anchor), Math.max(cursor, anchor)];
  if (high > low) for (const i of rangeOf(low, high + 1)) context.fillRect(...placeOf(i, columns), wide, tall - 4);
  drawn(line, columns, context, width, height);
  const [x, y] = placeOf(cursor, columns);
  context.strokeStyle = style("--pl-focus");
  context.lineWidth = 2;
  context.strokeRect(x + 1, y + 1, wide - 2, tall - 6);
}

/** One column for each byte: its letter, its number, and if it is hidden what the model makes of it. */
function paintBytes(context, { text, bytes, hidden, guesses, columns, table, style }) {
  const wide = CELL[0];
  const covered = new Set(hidden);
  const [ink, soft, line, paper, good, bad] = ["text", "soft", "line", "panel", "green", "orange"].map((name) => style(`--pl-${name}`));
  const write = (sign, x, y, colour, font) => {
    context.fillStyle = colour;
    context.font = font;
    context.fillText(sign, x, y, wide);
  };
  context.textAlign = "center";
  context.textBaseline = "middle";
  bytes.forEach((byte, i) => {
    const [x, y] = placeOf(i, columns);
    if (covered.has(i)) {
      context.fillStyle = ink;
      context.fillRect(x + 1, y + 2, wide - 2, 22);
    }
    write(byte, x + wide / 2, y + 32, soft, "9px system-ui, sans-serif");
    paintGuess(context, x, y, guesses?.get(i), { table, good, bad, line });
  });
  for (const [start, size, character] of charactersOf(text)) {
    const [x, y] = placeOf(start, columns);
    const together = Math.min(size, columns - (start % columns));
    write(size === 1 ? signOf(bytes[start]) : character, x + (together * wide) / 2, y + 14, covered.has(start) ? paper : ink, "16px ui-monospace, monospace");
    if (size > 1) {
      context.fillStyle = line;
      context.fillRect(x + 3, y + 24, together * wide - 6, 1);
    }
  }
}

/** The best guess, underlined where it is wrong, and the surprise as a colour. */
function paintGuess(context, x, y, guess, { table, good, bad, line }) {
  if (!guess) return;
  const wide = CELL[0];
  const right = guess.rank === 1;
  context.fillStyle = right ? good : bad;
  context.font = "bold 16px ui-monospace, monospace";
  context.fillText(signOf(guess.top[0][0]), x + wide / 2, y + 46, wide);
  if (!right) context.fillRect(x + 6, y + 55, wide - 12, 2);
  const level = Math.round(255 * clamp(guess.bits / MOST_BITS, 0, 1));
  context.fillStyle = `rgb(${table.subarray(3 * level, 3 * level + 3).join(",")})`;
  context.fillRect(x + 2, y + 59, wide - 4, 7);
  context.strokeStyle = line;
  context.lineWidth = 1;
  context.strokeRect(x + 2.5, y + 59.5, wide - 5, 6);
}

/** All that is shown, in sentences. */
function describePainter({ bytes, hidden, cursor, answer, guesses }) {
  const stands = `Byte ${cursor} of ${bytes.length}: ${nameOf(bytes[cursor])}, number ${bytes[cursor]}`;
  if (!hidden.length) return `${stands}, seen. Nothing is hidden.`;
  const guess = guesses?.get(cursor);
  const parts = [`${stands}, ${hidden.includes(cursor) ? "hidden" : "seen"}.`];
  if (guess) {
    const likely = guess.top.map(([byte, share]) => `${nameOf(byte)} ${chance(share)}`).join(", ");
    parts.push(`The model guesses ${likely}. What stands there is its guess number ${guess.rank}: ${bits(guess.bits)} of surprise.`);
  }
  if (answer) {
    const right = answer.guesses.filter(({ rank }) => rank === 1).length;
    const counted = answer.counts === null ? "" : `, counting ${bits(answer.counts)}`;
    parts.push(`${hidden.length} hidden, ${right} guessed right: ${bits(answer.bits)} per hidden byte${counted}.`);
  }
  return parts.join(" ");
}

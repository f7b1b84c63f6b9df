// TokenBudget, first part: frames, maps on them, the table of tokens and frames, and what is shown in words.

const TILE = 58;  // pixels of a frame
const ROW = 24;  // of a token in the table

/** Frames of a clip as canvases of their own. */
function framesOf(bytes, side) {
  const size = side * side;
  return Array.from({ length: bytes.length / (3 * size) }, (_, frame) => {
    const image = new ImageData(side, side);
    for (let at = 0; at < size; at += 1) {
      const from = 3 * (frame * size + at);
      image.data.set([bytes[from], bytes[from + 1], bytes[from + 2], 255], 4 * at);
    }
    const canvas = new OffscreenCanvas(side, side);
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  });
}

/** Columns of tiles that fit, and how large a tile is. */
function tiling(count, room) {
  const columns = Math.max(1, Math.min(count, Math.floor(room / TILE)));
  return { columns, rows: Math.ceil(count / columns) };
}

/** Weights of every token on each frame and on the tokens: {cells[r][t][s], frames[r][t], own[r]}. */
function lookOf(weights, { tokens, frames, cells }) {
  const width = frames * cells + tokens;
  const cellsOf = Array.from({ length: tokens }, (_, r) => Array.from({ length: frames }, (_, t) =>
    Array.from(weights.slice(r * width + t * cells, r * width + (t + 1) * cells))));
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  const frameShares = cellsOf.map((row) => row.map(sum));
  return { cells: cellsOf, frames: frameShares, own: frameShares.map((row) => Math.max(0, 1 - sum(row))) };
}

/** A tile where a frame is dropped: stripes, so that nobody takes it for a dark frame. */
function paintDropped(context, x, y, size, style) {
  context.save();
  context.beginPath();
  context.rect(x, y, size, size);
  context.clip();
  context.fillStyle = style("--pl-panel");
  context.fillRect(x, y, size, size);
  context.strokeStyle = style("--pl-line");
  context.lineWidth = 1;
  context.beginPath();
  for (let at = -size; at < size; at += 8) {
    context.moveTo(x + at, y + size);
    context.lineTo(x + at + size, y);
  }
  context.stroke();
  context.restore();
}

/** The frames in the order in which they are read, with the map of one token on them where there is one. */
function paintTiles(context, { tiles, columns, dropped, maps, grid, at, colours, style }) {
  const peak = maps ? Math.max(...maps.flat(), 1e-9) : 1;
  tiles.forEach((tile, place) => {
    const [x, y] = [(place % columns) * TILE, Math.floor(place / columns) * TILE];
    if (dropped.includes(place)) paintDropped(context, x, y, TILE - 2, style);
    else if (tile) context.drawImage(tile, x, y, TILE - 2, TILE - 2);
    if (maps && !dropped.includes(place)) {
      const [rows, across] = grid;
      const [w, h] = [(TILE - 2) / across, (TILE - 2) / rows];
      maps[place].forEach((weight, cell) => {
        const level = weight / peak;
        const c = 3 * Math.round(255 * level);
        context.fillStyle = `rgba(${colours[c]},${colours[c + 1]},${colours[c + 2]},${0.25 + 0.6 * level})`;
        context.fillRect(x + (cell % across) * w, y + Math.floor(cell / across) * h, w + 0.3, h + 0.3);
      });
    }
    if (place === at) Object.assign(context, { strokeStyle: style("--pl-focus"), lineWidth: 3 });
    else Object.assign(context, { strokeStyle: style("--pl-line"), lineWidth: 1 });
    context.strokeRect(x + 1, y + 1, TILE - 4, TILE - 4);
  });
}

/** A row for each token, a column for each frame and one for the tokens themselves. */
function paintTable(context, width, { look, token, kept, colours, style }) {
  const columns = look.frames[0].length + 1;
  const step = (width - 26) / columns;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  look.frames.forEach((row, r) => {
    const y = r * ROW;
    context.fillStyle = style(r < kept ? "--pl-text" : "--pl-soft");
    context.fillText(`${r + 1}`, 6, y + ROW / 2);
    [...row, look.own[r]].forEach((share, t) => {
      const c = 3 * Math.round(255 * share);
      context.fillStyle = `rgb(${colours[c]},${colours[c + 1]},${colours[c + 2]})`;
      const gap = t === columns - 1 ? 4 : 0;
      context.fillRect(26 + t * step + gap, y + 1, step - 1 - gap, ROW - 2);
    });
    if (r >= kept) {
      context.fillStyle = style("--pl-text");
      context.fillRect(2, y + ROW / 2, width - 4, 1.5);
    }
    if (r === token) {
      Object.assign(context, { strokeStyle: style("--pl-focus"), lineWidth: 3 });
      context.strokeRect(1.5, y + 1.5, width - 3, ROW - 3);
    }
  });
}

/** All that is shown, in sentences. */
function describeBudget(model, now, facts) {
  const [frames, order, dropped, tokens, token, question] = ["frames", "order", "dropped", "tokens", "token", "question"].map((name) => model.get(name));
  const gone = dropped.filter((place) => place < frames);
  const parts = [`${frames} ${frames === 1 ? "frame" : "frames"}, ${order}${gone.length ? `, ${gone.length} of them dropped` : ""}: ${facts.num_tokens} tokens, of which the text reads ${tokens}.`];
  parts.push(`To be seen: “${facts.texts[model.get("example")]}”`);
  if (now.said) parts.push(`Asked “${question}”, the model says: “${now.said.text}” (${chance(now.said.probability)}).`);
  if (now.look) {
    const row = now.look.frames[token];
    const most = row.indexOf(Math.max(...row));
    parts.push(`Token ${token + 1} looks most at frame ${most + 1} (${percent(row[most])}), at the tokens ${percent(now.look.own[token])}.`);
  }
  return parts.join(" ");
}

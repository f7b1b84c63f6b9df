// AttentionExplorer, first part: maps and columns from Python's answers, the two pictures, and what they say in words.

const PICTURE_WIDTH = 336;
const RANKS = 6;

function latentColumns(count) {
  return count <= 64 ? Math.min(8, count) : count <= 256 ? 16 : 32;
}

/** Weights of one latent (bytes, and the weight that 255 stands for) and of all latents at one pixel. */
function mapSource(model, ask) {
  const facts = () => model.get("facts");
  const sheet = (example, layer, head) => ask({ what: "sheet", example, layer, head });
  return {
    async tile(example, layer, head, latent) {
      const { grid, whole, latent_ids: ids } = facts();
      const size = grid[0] * grid[1];
      if (!whole) {
        const { buffers, peak, heads } = await ask({ what: "tile", example, layer, head, latent });
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

/** Picture and map as small canvases, made anew only when they change: pointing at pixels moves the mark alone. */
function layers() {
  let [grey, heat, from, made] = [null, null, null, null];
  const canvas = (width, height, fill) => {
    const small = new OffscreenCanvas(width, height);
    fill(small.getContext("2d"));
    return small;
  };
  return {
    grey(picture) {
      if (picture !== from) {
        from = picture;
        grey = picture && canvas(picture.width, picture.height, (context) => {
          context.filter = "grayscale(1)";
          context.drawImage(picture, 0, 0);
        });
      }
      return grey;
    },
    heat(tile, grid, table, opacity) {
      if (made?.tile !== tile || made.opacity !== opacity) {
        made = { tile, opacity };
        const pixels = new ImageData(grid[1], grid[0]);
        // One 32-bit store per pixel; the bytes lie in the order a, b, g, r.
        const colours = Uint32Array.from({ length: 256 }, (_, i) => {
          const alpha = Math.round(opacity * i + opacity * opacity * (255 - i));
          return ((alpha << 24) | (table[3 * i + 2] << 16) | (table[3 * i + 1] << 8) | table[3 * i]) >>> 0;
        });
        const words = new Uint32Array(pixels.data.buffer);
        for (let i = 0; i < tile.length; i++) words[i] = colours[tile[i]];
        heat = canvas(grid[1], grid[0], (context) => context.putImageData(pixels, 0, 0));
      }
      return heat;
    },
  };
}

function paintMap(context, width, height, { drawn, picture, tile, grid, table, opacity, pixel }) {
  const [grey, heat] = [drawn.grey(picture), tile && drawn.heat(tile, grid, table, opacity)];
  if (grey) context.drawImage(grey, 0, 0, width, height);
  if (heat) context.drawImage(heat, 0, 0, width, height);
  const [h, w] = [height / grid[0], width / grid[1]];
  const [high, wide] = [Math.max(9, h), Math.max(9, w)];  // a pixel of a large picture is too small to find
  const [x, y] = [(pixel[1] + 0.5) * w - wide / 2, (pixel[0] + 0.5) * h - high / 2];
  for (const [colour, line] of [["#000", 4], ["#ff9d2e", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x, y, wide, high);
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
    const top = (tile.top ??= Math.max(0, tile.bytes.indexOf(255)));
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
    text: chance(probabilities[k]), strong: k === best,
  }));
}

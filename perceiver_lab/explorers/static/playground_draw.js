// QueryPlayground, first part: places on the picture, the pictures themselves, and what they say in words.

const VIEW_WIDTH = 256;  // of each of three pictures, which a notebook's cell then has room for
const STRIP = [400, 22];
const DOTS = 32;  // screen pixels between the picture's pixels from which on dots mark their middles
const GRAIN = 64;  // points lie on 64ths of a pixel

/** Places of a picture of height x width pixels: rows and columns, whole at the middles of pixels. */
function geometry({ shape, lattice, kinds }) {
  const snapAxis = (value, side) => {
    if (!lattice) return clamp(Math.round(value * GRAIN) / GRAIN, -0.5, side - 0.5);
    const step = side / lattice;
    return clamp(Math.round((value + 0.5) / step - 0.5), 0, lattice - 1) * step + step / 2 - 0.5;
  };
  const span = (zoom) => shape.map((side) => side / zoom);
  return {
    span,
    snap: (point) => point.map((v, axis) => snapAxis(v, shape[axis])),
    /** One step of the arrow keys: a pixel, or a point of the lattice of a saved page. */
    step: shape.map((side) => (lattice ? Math.max(1, side / lattice) : 1)),
    /** The window of a zoom that has its middle as near to a place as the picture allows. */
    inner(center, zoom) {
      return span(zoom).map((size, axis) => {
        const grid = lattice ? size / 2 : 1 / GRAIN;
        const snapped = Math.round((center[axis] + 0.5) / grid) * grid - 0.5;
        return clamp(snapped, size / 2 - 0.5, shape[axis] - 0.5 - size / 2);
      });
    },
    /** Top, left, height and width of the window. */
    box(center, zoom) {
      const size = span(zoom);
      return [center[0] - size[0] / 2, center[1] - size[1] / 2, ...size];
    },
    isBetween: (point, task) => kinds[task].between && point.some((v) => Math.abs(v - Math.round(v)) > 1e-9),
  };
}

/** The pixels of a picture for sampling. */
function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Bilinear interpolation between the pixels at the places of a window of rows x columns: what enlarging has without a model. */
function enlarged(pixels, [top, left, height, width], [rows, columns]) {
  const result = new ImageData(columns, rows);
  const axis = (start, size, count, side) => Array.from({ length: count }, (_, i) => {
    const at = clamp(start + ((i + 0.5) * size) / count, 0, side - 1);
    const low = Math.min(Math.floor(at), Math.max(0, side - 2));
    return [low, Math.min(low + 1, side - 1), at - low];
  });
  const [ys, xs] = [axis(top, height, rows, pixels.height), axis(left, width, columns, pixels.width)];
  let out = 0;
  for (const [y0, y1, fy] of ys) {
    for (const [x0, x1, fx] of xs) {
      for (let c = 0; c < 3; c++) {
        const value = (y, x) => pixels.data[4 * (y * pixels.width + x) + c];
        const upper = value(y0, x0) * (1 - fx) + value(y0, x1) * fx;
        const lower = value(y1, x0) * (1 - fx) + value(y1, x1) * fx;
        result.data[out++] = Math.round(upper * (1 - fy) + lower * fy);
      }
      result.data[out++] = 255;
    }
  }
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext("2d").putImageData(result, 0, 0);
  return canvas;
}

/** Draws twice, dark and wide below bright and narrow: to be seen on any picture. */
function outlined(context, path, [wide, narrow] = [4, 1.8]) {
  for (const [colour, line] of [["#000", wide], ["#fff", narrow]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.beginPath();
    path();
    context.stroke();
  }
}

function paintCross(context, x, y, size = 8) {
  outlined(context, () => {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 2.5 * dx, y + 2.5 * dy);
      context.lineTo(x + size * dx, y + size * dy);
    }
  });
}

function paintArrow(context, x, y, dx, dy) {
  const length = Math.hypot(dx, dy);
  if (length < 3) return;
  const [ux, uy, head] = [dx / length, dy / length, Math.min(8, length / 2)];
  outlined(context, () => {
    context.moveTo(x, y);
    context.lineTo(x + dx, y + dy);
    for (const side of [1, -1]) {
      context.moveTo(x + dx - head * (ux - 0.6 * side * uy), y + dy - head * (uy + 0.6 * side * ux));
      context.lineTo(x + dx, y + dy);
    }
  }, [5, 2.2]);
}

function paintTag(context, x, y, text, [width, height]) {
  const [cx, cy] = [clamp(x, 9, width - 9), clamp(y, 9, height - 9)];
  context.fillStyle = "#fff";
  context.strokeStyle = "#000";
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(cx, cy, 8, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.fillStyle = "#000";
  context.font = "bold 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, cx, cy + 0.5);
}

/** The whole picture: the point, the window around it, the two ends of the blend, and where the point moves. */
function paintPicture(context, width, height, { bitmap, shape, point, box, ends, vector }) {
  if (bitmap) context.drawImage(bitmap, 0, 0, width, height);
  const scale = width / shape[1];
  const at = ([row, column]) => [(column + 0.5) * scale, (row + 0.5) * scale];
  if (box[2] < shape[0]) {
    const [x, y] = at(box);
    outlined(context, () => context.rect(x, y, box[3] * scale, box[2] * scale), [4, 2]);
  }
  for (const [text, place] of ends) paintTag(context, ...at(place), text, [width, height]);
  if (vector) paintArrow(context, ...at(point), vector[0] * scale, vector[1] * scale);
  paintCross(context, ...at(point));
}

/** A window: one coloured cell per answer, dots at the middles of the picture's pixels once they are far apart. */
function paintWindow(context, width, height, { tile, box, point }) {
  if (tile) context.drawImage(tile, 0, 0, width, height);
  const [top, left, tall, wide] = box;
  const [sy, sx] = [height / tall, width / wide];
  if (Math.min(sx, sy) >= DOTS) {
    for (let row = Math.ceil(top); row < top + tall; row++) {
      for (let column = Math.ceil(left); column < left + wide; column++) {
        context.beginPath();
        context.arc((column - left) * sx, (row - top) * sy, 1.8, 0, 2 * Math.PI);
        context.fillStyle = "#fff";
        context.strokeStyle = "#000";
        context.lineWidth = 1;
        context.fill();
        context.stroke();
      }
    }
  }
  const [y, x] = [(point[0] - top) * sy, (point[1] - left) * sx];
  if (x >= 0 && x <= width && y >= 0 && y <= height) paintCross(context, x, y, 10);
}

/** Columns of the latents: full rows if it can be. */
function looksColumns(count) {
  if (count > 64) return count <= 256 ? 16 : 32;
  return [8, 7, 6, 5].find((columns) => count % columns === 0) ?? Math.min(8, count);
}

/** How much the chosen question looks at each latent. */
function paintLooks(context, width, { weights, table }) {
  if (!weights) return;
  const columns = looksColumns(weights.length);
  const cell = width / columns;
  const most = Math.max(1e-12, ...weights);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `${Math.min(11, cell * 0.42)}px system-ui, sans-serif`;
  weights.forEach((weight, i) => {
    const [x, y] = [(i % columns) * cell, Math.floor(i / columns) * cell];
    const level = Math.round((255 * weight) / most);
    context.fillStyle = `rgb(${table.subarray(3 * level, 3 * level + 3).join(",")})`;
    context.fillRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
    if (cell < 16) return;
    context.fillStyle = level > 140 ? "#000" : "#fff";
    context.fillText(i, x + cell / 2, y + cell / 2);
  });
}

/** All steps of a blend as coloured cells, the chosen one framed. */
function paintStrip(context, width, height, { colours, index }) {
  const cell = width / colours.length;
  colours.forEach((colour, i) => {
    context.fillStyle = colour;
    context.fillRect(i * cell, 0, cell + 0.5, height);
  });
  const x = clamp(index * cell, 1.5, width - cell - 1.5);
  outlined(context, () => context.rect(x, 1.5, cell, height - 3), [4, 1.8]);
}

const placeText = ([row, column]) => `row ${+row.toFixed(2)}, column ${+column.toFixed(2)}`;
const sureText = (sure) => (sure === null ? "" : ` (${chance(sure)})`);

function endText(model, name) {
  const [task, ...place] = model.get(name);
  return model.get("facts").kinds[task].at_point ? `${task} at ${placeText(place)}` : task;
}

/** What there is to find out; nothing of it is there before something was moved. */
function playgroundFinds(model, now, facts) {
  const close = Math.min(8, Math.max(...facts.zooms));
  const drawn = new Set();
  const between = facts.tasks.filter((name) => facts.kinds[name].between);
  const judged = facts.tasks.filter((name) => facts.kinds[name].kind === "classes");
  const outline = {
    task: `Zoom in ${close} times on an outline, and draw ${between.length > 1 ? "two questions" : "a question"} there. Is it sharper than the enlarged pixels?`,
    found: () => {
      if (model.get("zoom") >= close && now.drawn === model.get("view")) drawn.add(now.drawn);
      return drawn.size >= Math.min(2, between.length) ? `You have seen ${[...drawn].map((name) => `“${name}”`).join(" and ")}.` : null;
    },
  };
  const change = {
    task: "Go from A to B until the blended query says something else.",
    found: () => {
      const [strip, blend] = [now.strips?.[0], model.get("blend")];
      const said = strip?.texts[Math.round(blend * (facts.steps - 1))];
      return strip && said !== strip.texts[0] ? `${Math.round(100 * blend)} % of the way, “${strip.texts[0]}” has become “${said}”.` : null;
    },
  };
  const mistake = {
    task: "Find a question that the model answers wrongly.",
    found: () => {
      const wrong = facts.tasks.findIndex((name, i) => judged.includes(name) && ![null, now.answers?.[i].text].includes(now.answers?.[i].true ?? null));
      return wrong < 0 ? null : `${facts.tasks[wrong]} at ${placeText(model.get("point"))} of example ${model.get("example")}: “${now.answers[wrong].text}”, in truth “${now.answers[wrong].true}”.`;
    },
  };
  const { node, check } = discoveries([...(between.length ? [outline] : []), change, ...(facts.has_truth && judged.length ? [mistake] : [])]);
  return { node, check: () => (now.moved ? check() : "") };
}

/** All that is shown, in sentences, the part that was touched last first. */
function describePlayground(model, now, where) {
  const facts = model.get("facts");
  const [point, zoom, task] = ["point", "zoom", "task"].map((name) => model.get(name));
  const view = now.drawn ?? model.get("view");
  const parts = {};
  if (now.answers) {
    const between = where.isBetween(point, view) ? " (between the pixels)" : "";
    const said = facts.tasks.map((name, i) => {
      const { text, sure, true: right } = now.answers[i];
      return `${name}: ${text}${sureText(sure)}${right === null || right === text ? "" : `, in truth ${right}`}`;
    });
    const looks = now.weights?.[facts.tasks.indexOf(task)];
    const top = looks && [...looks.keys()].sort((a, b) => looks[b] - looks[a]).slice(0, 2);
    const latents = top ? ` “${task}” looks most at latents ${top.map((i) => `${i} (${percent(looks[i])})`).join(" and ")}.` : "";
    parts.point = `Example ${model.get("example")}, ${placeText(point)}${between}. ${said.join("; ")}.${latents}`;
  }
  if (now.tile) {
    const [rows, columns] = facts.window;
    const finer = (rows * zoom) / facts.shape[0];
    parts.window = facts.kinds[view].between
      ? `Drawn: ${view} at ${rows} × ${columns} points, ${finer >= 1 ? `${+finer.toPrecision(2)} queries along each pixel` : `one query every ${+(1 / finer).toPrecision(2)} pixels`}.`
      : `Drawn: ${view}, one answer for each cell; this model has no queries between them.`;
  }
  if (now.strips && (model.get("blend") > 0 || now.touched === "blend")) {
    const index = Math.round(model.get("blend") * (facts.steps - 1));
    const said = now.strips.map((strip) => `${strip.label}: ${strip.texts[index]}${sureText(strip.sure[index])}`);
    parts.blend = `${Math.round(100 * model.get("blend"))}\u00a0% of the way from A (${endText(model, "first")}) to B (${endText(model, "second")}): ${said.join("; ")}.`;
  }
  const order = [now.touched, ...["point", "window", "blend"].filter((name) => name !== now.touched)];
  return order.map((name) => parts[name]).filter(Boolean).join(" ");
}

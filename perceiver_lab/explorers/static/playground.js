// QueryPlayground: a point to ask at, a window drawn from queries, a blend of two queries, and the latents that answer.

function playgroundControls(model, { facts, change, choose, zoomTo }) {
  const example = select({
    label: "Picture", value: model.get("example"), options: facts.examples.map((i) => [i, `example ${i}`]),
    onchange: (v) => change({ example: +v }),
  });
  const frame = select({
    label: "Frame", value: model.get("frame"), options: Array.from({ length: facts.frames }, (_, i) => [i, i + 1]),
    onchange: (v) => change({ frame: +v }),
  });
  frame.node.hidden = facts.frames < 2;
  const task = select({ label: "Question", value: model.get("task"), options: facts.tasks.map((name) => [name, name]), onchange: choose });
  task.node.hidden = facts.tasks.length < 2;
  const zoom = slider({
    label: "Zoom", max: facts.zooms.length - 1, value: facts.zooms.indexOf(model.get("zoom")), text: (i) => `${facts.zooms[i]}\u00a0×`,
    oninput: (i) => zoomTo(facts.zooms[i]),
  });
  const show = () => {
    example.set(model.get("example"));
    frame.set(model.get("frame"));
    task.set(model.get("task"));
    zoom.set(facts.zooms.indexOf(model.get("zoom")));
  };
  return { node: create("div", { class: "pl-controls" }, ...[example, frame, task, zoom].map((c) => c.node)), show };
}

/** The three pictures. Each takes the pointer; the first two also the arrow keys. */
function playgroundBoards(model, now, { facts, where, moveTo }) {
  const height = (VIEW_WIDTH * facts.shape[0]) / facts.shape[1];
  const box = () => where.box(where.inner(model.get("center"), model.get("zoom")), model.get("zoom"));
  const keys = (step, follow) => (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return false;
    const sizes = step(event.shiftKey);
    moveTo(model.get("point").map((v, axis) => v + arrow[axis] * sizes[axis]), follow);
    return true;
  };
  const pointed = ({ node, place }, toPoint, follow) => {
    const act = (event) => { const [x, y] = place(event); moveTo(toPoint(x, y), follow); };
    node.addEventListener("pointerdown", (event) => { node.setPointerCapture?.(event.pointerId); act(event); });
    node.addEventListener("pointermove", (event) => { if (event.buttons & 1) act(event); });
  };
  const picture = board({
    label: "Picture", width: VIEW_WIDTH, height, help: "Click, drag, or use the arrow keys; with Shift in larger steps",
    draw: (context, w, h) => paintPicture(context, w, h, {
      bitmap: now.picture, shape: facts.shape, point: model.get("point"), box: box(),
      ends: [["A", "first"], ["B", "second"]].filter(([, end]) => facts.kinds[model.get(end)[0]].at_point).map(([tag, end]) => [tag, model.get(end).slice(1)]),
      vector: now.answers?.[facts.tasks.indexOf(model.get("view"))].vector,
    }),
    onkey: keys((far) => where.step.map((v) => v * (far ? 4 : 1)), true),
  });
  const drawn = board({
    label: "Drawn from queries", width: VIEW_WIDTH, height, help: "Click, drag, or use the arrow keys to ask between the pixels; with Shift in steps of a pixel",
    draw: (context, w, h) => paintWindow(context, w, h, { tile: now.tile, box: box(), point: model.get("point") }),
    onkey: keys((far) => (far || facts.lattice ? where.step : where.span(model.get("zoom")).map((v, axis) => Math.max(1 / GRAIN, v / facts.window[axis]))), false),
  });
  const plain = still({
    label: "The pixels themselves, enlarged by interpolation", width: VIEW_WIDTH, height, help: "Click or drag to ask there",
    draw: (context, w, h) => paintWindow(context, w, h, { tile: now.enlarged, box: box(), point: model.get("point") }),
  });
  pointed(picture, (x, y) => [y * facts.shape[0] - 0.5, x * facts.shape[1] - 0.5], true);
  for (const view of [drawn, plain]) pointed(view, (x, y) => { const [top, left, tall, wide] = box(); return [top + y * tall, left + x * wide]; }, false);
  return { picture, drawn, plain, box };
}

/** What every task says at the point; the name of a task chooses it. */
function answerTable(facts, choose) {
  const rows = facts.tasks.map((name) => ({
    name: ownKeys(create("button", { type: "button", class: "pl-link", onclick: () => choose(name) }, name)),
    swatch: create("span", { class: "pl-swatch", "aria-hidden": "true" }), said: create("span"), sure: create("td"), right: facts.has_truth ? create("td") : null,
  }));
  const node = create("table", { class: "pl-table" },
    create("thead", {}, create("tr", {}, ...["Question", "Answer", "Probability", ...(facts.has_truth ? ["In truth"] : [])].map((text) => create("th", { scope: "col" }, text)))),
    create("tbody", {}, ...rows.map(({ name, swatch, said, sure, right }) =>
      create("tr", {}, create("th", { scope: "row" }, name), create("td", {}, swatch, said), sure, right))));
  const set = (answers, chosen) => rows.forEach(({ name, swatch, said, sure, right }, i) => {
    const answer = answers[i];
    name.setAttribute("aria-pressed", String(facts.tasks[i] === chosen));
    name.closest("tr").classList.toggle("pl-chosen", facts.tasks[i] === chosen);
    swatch.style.background = answer.colour;
    said.textContent = answer.text;
    sure.textContent = answer.sure === null ? "–" : chance(answer.sure);
    if (right) right.textContent = answer.true === null ? "–" : answer.true === answer.text ? `✓ ${answer.true}` : answer.true;
  });
  return { node, set };
}

/** What the colours of the drawn window mean. */
function legendOf(kind, facts, scale) {
  if (kind.kind === "classes") {
    return kind.classes.map((name, i) => create("span", { class: "pl-key" }, create("span", { class: "pl-swatch", style: `background: ${kind.colours[i]}` }), name));
  }
  if (kind.kind === "probability") return [create("span", {}, kind.classes[0]), create("span", { class: "pl-ramp" }), create("span", {}, kind.classes[1])];
  if (kind.kind === "flow") {
    return [create("img", { src: facts.wheel, width: 33, height: 33, class: "pl-wheel", alt: "Colours of all directions" }),
      create("span", {}, `white: still; at the rim: ${scale.toFixed(1)} px`)];
  }
  return [create("span", {}, "the colours that the model says")];
}

/** Two questions, the way between their queries, and what is answered there. */
function blendPanel(model, now, { facts, change, blendTo }) {
  const way = slider({ label: "from A to B", max: facts.steps - 1, value: 0, text: (i) => `${Math.round((100 * i) / (facts.steps - 1))}\u00a0%`, oninput: (i) => blendTo(i / (facts.steps - 1)) });
  const ends = ["first", "second"].map((name, i) => {
    const text = create("span");
    const here = () => change({ [name]: [model.get("task"), ...model.get("point")] });
    const set = button(`${"AB"[i]} := the question here`, here);
    set.hidden = facts.lattice > 0;
    return { name, text, node: create("div", { class: "pl-end" }, create("strong", {}, "AB"[i]), text, set) };
  });
  const index = () => Math.round(model.get("blend") * (facts.steps - 1));
  const strips = [0, 1].map((row) => {
    const title = create("p", { class: "pl-note" });
    const said = create("p", { class: "pl-said" });
    const canvas = still({
      label: "Steps of the blend", width: STRIP[0], height: STRIP[1],
      draw: (context, w, h) => { if (now.strips?.[row]) paintStrip(context, w, h, { colours: now.strips[row].colours, index: index() }); },
    });
    return { title, said, canvas, node: create("div", {}, title, canvas.node, said) };
  });
  const node = create("div", { class: "pl-columns pl-between" },
    create("div", { class: "pl-panel" }, create("p", { class: "pl-title" }, "Between two questions: their queries, blended"), ...ends.map((end) => end.node), way.node),
    create("div", { class: "pl-panel" }, ...strips.map((strip) => strip.node)));
  const show = () => {
    way.set(index());
    for (const { name, text } of ends) text.textContent = endText(model, name);
    strips.forEach(({ title, said, canvas, node: part }, row) => {
      const strip = now.strips?.[row];
      part.hidden = !strip;
      if (!strip) return;
      title.textContent = strip.label;
      said.textContent = `${strip.texts[index()]}${sureText(strip.sure[index()])}`;
      canvas.name(`${strip.label}, ${facts.steps} steps. Now: ${said.textContent}`);
      canvas.paint();
    });
  };
  return { node, show, paint: () => strips.forEach(({ canvas }) => canvas.paint()) };
}

/** The parts of the page and a function that fills them from the state. */
function playgroundParts(model, now, tools) {
  const { facts, choose } = tools;
  const controls = playgroundControls(model, tools);
  const boards = playgroundBoards(model, now, tools);
  const blend = blendPanel(model, now, tools);
  const finds = playgroundFinds(model, now, facts);
  const answers = answerTable(facts, choose);
  const detail = bars("The chosen answer, part by part");
  const table = colourTable(facts.colours);
  const looks = still({ label: "Latents", width: 1, height: 1, draw: (context, w) => paintLooks(context, w, { weights: now.weights?.[facts.tasks.indexOf(model.get("task"))], table }) });
  const [drawnTitle, plainTitle, pointTitle, detailTitle, looksTitle] = Array.from({ length: 5 }, () => create("p", { class: "pl-title" }));
  const [drawnNote, plainNote] = [create("div", { class: "pl-legend" }), create("p", { class: "pl-note" })];
  const panel = (...children) => create("div", { class: "pl-panel" }, ...children);
  const [height, width] = facts.shape;
  const nodes = [controls.node,
    create("div", { class: "pl-columns" },
      panel(create("p", { class: "pl-title" }, `The picture, ${height} × ${width} pixels`), boards.picture.node, create("p", { class: "pl-note" }, "Click, drag or arrow keys: ask there.")),
      panel(drawnTitle, boards.drawn.node, drawnNote), panel(plainTitle, boards.plain.node, plainNote)),
    create("div", { class: "pl-columns pl-gap" }, panel(pointTitle, answers.node), panel(detailTitle, detail.node), panel(looksTitle, looks.node)), blend.node,
    create("div", { class: "pl-columns pl-gap" }, finds.node)];
  const sized = () => {
    const count = now.weights[0].length;
    const columns = looksColumns(count);
    const side = columns > 8 ? 8 : 20;
    looks.resize(columns * side, Math.ceil(count / columns) * side);
  };
  const fill = () => {
    const [task, zoom] = [model.get("task"), model.get("zoom")];
    const view = now.drawn ?? model.get("view");  // what is on the screen, while the next is on its way
    const at = facts.tasks.indexOf(task);
    controls.show();
    drawnTitle.textContent = facts.kinds[view].between ? `“${view}” asked at ${facts.window.join(" × ")} points` : `“${view}”, one answer for each cell`;
    plainTitle.textContent = zoom > 1 ? `The same ${boards.box().slice(2).map((v) => +v.toFixed(1)).join(" × ")} pixels, enlarged` : "The same pixels, enlarged";
    plainNote.textContent = `Bilinear interpolation${zoom * VIEW_WIDTH >= DOTS * width ? "; dots: middles of pixels" : ", no model"}.`;
    if (now.tile) drawnNote.replaceChildren(...legendOf(facts.kinds[view], facts, now.scale));
    blend.show();
    pointTitle.textContent = facts.kinds[task].at_point || facts.tasks.length > 1 ? `Asked at ${placeText(model.get("point"))}` : "Asked";
    if (now.answers) {
      answers.set(now.answers, task);
      const parts = now.answers[at].bars;
      detailTitle.textContent = `Answer to “${task}”${parts.some((part) => part[3] !== null) ? ", line: in truth" : ""}`;
      detail.node.parentElement.hidden = !parts.length;
      const best = facts.kinds[task].kind === "colour" ? -1 : parts.reduce((top, part, i) => (part[1] > parts[top][1] ? i : top), 0);
      detail.set(parts.map(([name, value, said, mark], i) => ({ name, value, mark, text: said ?? chance(value), strong: i === best })));
      looksTitle.textContent = "Latents it looks at";
      sized();
      looks.name(`Latents, brighter the more “${task}” looks at them.`);
    }
    boards.picture.name(`Picture. ${describePlayground(model, now, tools.where)}`);
    boards.drawn.name(`“${view}” drawn from queries, ${zoom} times enlarged. ${placeText(model.get("point"))}.`);
  };
  const paint = () => { for (const one of [boards.picture, boards.drawn, boards.plain, looks, blend]) one.paint(); };
  return { nodes, fill, paint, box: boards.box, check: finds.check };
}

/** What to ask when the state changes; each answer goes into `now` and is shown. */
function playgroundUpdates(model, now, { facts, ask, busy, update, where, box }) {
  const example = () => model.get("example");
  const enlarge = () => { if (now.pixels) now.enlarged = enlarged(now.pixels, box(), facts.window); };
  return {
    picture: update(async () => {
      const { buffers } = await ask({ what: "picture", example: example(), frame: model.get("frame") });
      now.picture = await imageOf(buffers[0]);
      now.pixels = pixelsOf(now.picture);
      enlarge();
    }),
    point: update(async () => {
      const { answers, buffers } = await busy(ask({ what: "point", example: example(), point: model.get("point") }));
      const all = floatsOf(buffers[0]);
      const count = all.length / facts.tasks.length;
      now.answers = answers;
      now.weights = facts.tasks.map((_, i) => all.subarray(i * count, (i + 1) * count));
    }),
    window: update(async () => {
      const center = where.inner(model.get("center"), model.get("zoom"));
      const task = model.get("view");
      const { scale, buffers } = await busy(ask({ what: "window", example: example(), task, center, zoom: model.get("zoom") }));
      Object.assign(now, { tile: await imageOf(buffers[0]), scale, drawn: task });
    }),
    blend: update(async () => {
      now.strips = (await busy(ask({ what: "blend", example: example(), first: model.get("first"), second: model.get("second") }))).strips;
    }),
    enlarge,
  };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { picture: null, pixels: null, enlarged: null, tile: null, scale: null, drawn: null, answers: null, weights: null, strips: null, touched: "point", moved: false };
  const where = geometry(facts);
  const { ask, busy, change: keep, update, run } = stage({ model, el, kind: "playground", title: "Query playground" });
  const change = (changes, touched = "point") => { Object.assign(now, { touched, moved: true }); keep(changes); };
  const tools = {
    facts, where, change,
    moveTo: (place, follow) => {
      const point = where.snap(place);
      const [top, left, tall, wide] = parts.box();
      const inside = point[0] >= top && point[0] <= top + tall && point[1] >= left && point[1] <= left + wide;
      const center = where.inner(point, model.get("zoom"));
      change(follow || !inside ? { point, center } : { point });
    },
    choose: (task) => change(facts.kinds[task].at_point ? { task, view: task } : { task }),
    zoomTo: (zoom) => change({ zoom, center: where.inner(model.get("point"), zoom) }, "window"),
    blendTo: (blend) => change({ blend }, "blend"),
  };
  const parts = playgroundParts(model, now, tools);
  return run({
    parts,
    describe: () => [describePlayground(model, now, where), parts.check()].filter(Boolean).join(" "),
    updates: playgroundUpdates(model, now, { facts, ask, busy, update, where, box: parts.box }),
    needs: {
      example: ["picture", "point", "window", "blend"], frame: ["picture"], task: [], view: ["window"], point: ["point"],
      center: ["enlarge", "window"], zoom: ["enlarge", "window"], first: ["blend"], second: ["blend"], blend: [],
    },
    quick: "point",  // the mark follows the pointer; words come with the answer
    notes: facts.lattice ? [`This saved page holds answers at ${facts.lattice} × ${facts.lattice} points, windows up to ${Math.max(...facts.zooms)} times enlarged, and one pair A and B; the notebook asks anywhere.`] : [],
  });
}
export default { render };

// Unshuffler: training time as a slider. Learned positions as a cloud, and the picture that they put together.

const [CLOUD_SIDE, PICTURE_SIDE] = [300, 210];
const WAYS = [false, true].flatMap((mirrored) => [0, 1, 2, 3].map((turns) => ({ turns, mirrored })));

/** A place on the square, [row, column], after it is mirrored left to right, if so, and turned by quarters to the left. */
function held([row, column], { turns, mirrored }, last) {
  let place = [row, mirrored ? last - column : column];
  for (let i = 0; i < turns; i += 1) place = [last - place[1], place[0]];
  return place;
}

/** What is shown: the snapshot, where each element is laid, how many lie right. */
function unshuffleState(model, facts) {
  const [run, place, marked] = ["run", "place", "marked"].map((name) => model.get(name));
  const way = { turns: model.get("turns"), mirrored: model.get("mirrored") };
  const snapshots = facts.runs[run];
  const shot = snapshots[Math.min(place, snapshots.length - 1)];
  const { side, truth } = facts;
  const laid = (which) => shot.cells.map((cell) => {
    const [row, column] = held([Math.floor(cell / side), cell % side], which, side - 1);
    return row * side + column;
  });
  const right = (which) => laid(which).filter((cell, element) => cell === truth[element]).length;
  const cells = laid(way);
  return { run, place, way, snapshots, shot, cells, marked, right, element: cells.indexOf(marked) };
}

const coloursOf = (facts, number) => colourTable(facts.pictures[number]);
const rgb = (colours, element) => `rgb(${colours[3 * element]},${colours[3 * element + 1]},${colours[3 * element + 2]})`;
const wayText = ({ turns, mirrored }) => `${["not turned", "turned by a quarter", "turned by a half", "turned by three quarters"][turns]}, ${mirrored ? "mirrored" : "not mirrored"}`;

function describeUnshuffle(state, facts) {
  const { run, shot, way, right, element, marked } = state;
  const { side, truth } = facts;
  const place = (cell) => `row ${Math.floor(cell / side) + 1}, column ${(cell % side) + 1}`;
  const told = element < 0 ? "" : ` At ${place(marked)} lies element ${element}; it belongs to ${place(truth[element])}.`;
  return `${run}, step ${shot.step}: ${percent(shot.precision)} of the nearest positions are neighbours (chance ${percent(facts.chance)}). `
    + `Held ${wayText(way)}, ${right(way)} of ${side * side} cells lie where they belong.${told}`;
}

/** The cloud, held as the picture is; lines join what lies side by side in the true picture. */
function paintCloud(context, size, { state, facts, colours, lines, style }) {
  const { shot, way, element } = state;
  const reach = 2.4;
  const at = shot.points.map((point) => held(point, way, 0).map((v) => size * (0.5 + v / (2 * reach))));
  context.lineWidth = 1;
  context.strokeStyle = style("--pl-line");
  if (lines) {
    context.beginPath();
    for (const [a, b] of facts.pairs) {
      context.moveTo(at[a][1], at[a][0]);
      context.lineTo(at[b][1], at[b][0]);
    }
    context.stroke();
  }
  context.strokeStyle = style("--pl-text");
  at.forEach(([y, x], i) => {
    context.fillStyle = rgb(colours, i);
    context.fillRect(x - 5, y - 5, 10, 10);
    context.lineWidth = i === element ? 3 : 0.5;
    context.strokeRect(x - 5, y - 5, 10, 10);
  });
}

/** One cell for every element: `cells[element]` is where it is painted. */
function paintCells(context, size, { cells, side, colours, marked = -1, style }) {
  const step = size / side;
  cells.forEach((cell, element) => {
    context.fillStyle = rgb(colours, element);
    context.fillRect((cell % side) * step, Math.floor(cell / side) * step, step + 0.5, step + 0.5);
  });
  if (marked < 0) return;
  const [x, y] = [(marked % side) * step, Math.floor(marked / side) * step];
  for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.strokeRect(x + 2, y + 2, step - 4, step - 4);
  }
  context.strokeStyle = style("--pl-text");
}

function unshuffleFinds(now, facts) {
  const last = () => now().place === now().snapshots.length - 1;
  return discoveries([
    {
      task: "From which step on are three in ten of the nearest positions true neighbours?",
      found: () => {
        const { snapshots, shot, run } = now();
        const first = snapshots.find((one) => one.precision >= 0.3);
        return first && shot.step >= first.step ? `${run}: from step ${first.step} on, ${percent(first.precision)}.` : null;
      },
    },
    {
      task: "At the end of training, hold the picture upright: turn and mirror it.",
      found: () => {
        const { way, right, shot } = now();
        const counts = WAYS.map(right);
        const others = counts.filter((_, i) => WAYS[i].turns !== way.turns || WAYS[i].mirrored !== way.mirrored);
        if (!last() || right(way) <= Math.max(...others) || shot.precision < 3 * facts.chance) return null;
        return `Held ${wayText(way)}: ${right(way)} cells lie right, in no other way more than ${Math.max(...others)}. No number that was learned says which way it is.`;
      },
    },
    {
      task: "Which training leaves the cloud a heap to the end?",
      found: () => {
        const { shot, run } = now();
        return last() && shot.precision < 2 * facts.chance ? `${run}: at step ${shot.step} still ${percent(shot.precision)}, where chance gives ${percent(facts.chance)}.` : null;
      },
    },
  ]);
}

function unshuffleControls(model, facts, change) {
  const names = Object.keys(facts.runs);
  const shots = () => facts.runs[model.get("run")];
  const run = select({ label: "Trained on", value: model.get("run"), options: names.map((name) => [name, name]),
    onchange: (name) => change({ run: name, place: Math.min(model.get("place"), facts.runs[name].length - 1) }) });
  const place = slider({ label: "Training step", max: shots().length - 1, value: model.get("place"),
    text: (i) => String(shots()[Math.min(i, shots().length - 1)].step), oninput: (i) => change({ place: i }) });
  const picture = select({ label: "Picture", value: model.get("picture"), options: facts.pictures.map((_, i) => [i, `${i + 1}`]), onchange: (i) => change({ picture: +i }) });
  const lines = checkbox({ label: "Join true neighbours", value: model.get("lines"), onchange: (v) => change({ lines: v }) });
  const turn = button("Turn a quarter to the left", () => change({ turns: (model.get("turns") + 1) % 4 }));
  // What is on the screen is mirrored: before it, the quarters count the other way.
  const mirror = button("Mirror left to right", () => change({ mirrored: !model.get("mirrored"), turns: (4 - model.get("turns")) % 4 }));
  const fill = () => {
    run.set(model.get("run"));
    place.range(0, shots().length - 1);
    place.set(model.get("place"));
    picture.set(model.get("picture"));
    lines.set(model.get("lines"));
  };
  const rows = [[run.node, place.node, picture.node], [lines.node, turn, mirror]];
  return { nodes: rows.map((row) => create("div", { class: "pl-controls" }, ...row)), fill };
}

function unshuffleBoards(model, facts, now, { style, change }) {
  const { side } = facts;
  const colours = () => coloursOf(facts, model.get("picture"));
  const cloud = still({ label: "Cloud of learned positions", width: CLOUD_SIDE, height: CLOUD_SIDE,
    draw: (context, w) => paintCloud(context, w, { state: now(), facts, colours: colours(), lines: model.get("lines"), style }) });
  const given = still({ label: "The cells in the order in which the model is given them", width: PICTURE_SIDE, height: PICTURE_SIDE,
    draw: (context, w) => paintCells(context, w, { cells: facts.truth.map((_, i) => i), side, colours: colours(), marked: now().element, style }) });
  const laid = board({ label: "Picture", width: PICTURE_SIDE, height: PICTURE_SIDE, help: "Arrow keys or a click: mark a cell; Escape: none",
    draw: (context, w) => paintCells(context, w, { cells: now().cells, side, colours: colours(), marked: now().marked, style }),
    onkey: (event) => {
      if (event.key === "Escape") { change({ marked: -1 }); return true; }
      const step = ARROWS[event.key];
      if (!step) return false;
      const at = model.get("marked");
      const [row, column] = at < 0 ? [0, 0] : [Math.floor(at / side) + step[0], (at % side) + step[1]];
      change({ marked: clamp(row, 0, side - 1) * side + clamp(column, 0, side - 1) });
      return true;
    } });
  laid.node.addEventListener("pointerdown", (event) => {
    const [x, y] = laid.place(event);
    change({ marked: Math.floor(y * side) * side + Math.floor(x * side) });
  });
  return { cloud, given, laid };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const { style, change, run } = stage({ model, el, kind: "unshuffle", title: "Unshuffler" });
  const now = () => unshuffleState(model, facts);
  const controls = unshuffleControls(model, facts, change);
  const boards = unshuffleBoards(model, facts, now, { style, change });
  const finds = unshuffleFinds(now, facts);
  const panel = (title, node, note) => create("div", { class: "pl-panel" }, create("p", { class: "pl-title" }, title), node, create("p", { class: "pl-note" }, note));
  const nodes = [
    ...controls.nodes,
    create("div", { class: "pl-columns" },
      panel("Learned positions", boards.cloud.node, "The table's two widest directions."),
      panel("As the model is given it", boards.given.node, "Always in the same other order."),
      panel("Put together from them", boards.laid.node, "Each position takes one cell."),
      finds.node),
  ];
  const fill = (text) => {
    controls.fill();
    boards.laid.name(`Picture put together. ${text}`);
  };
  return run({
    parts: { nodes, fill, paint: () => Object.values(boards).forEach((one) => one.paint()) },
    describe: () => [describeUnshuffle(now(), facts), finds.check()].filter(Boolean).join(" "),
    updates: {},
    needs: Object.fromEntries(["run", "place", "picture", "turns", "mirrored", "lines", "marked"].map((name) => [name, []])),
  });
}
export default { render };

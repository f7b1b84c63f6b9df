// ShuffleDial: the picture with some of its pixels moved, and what each model makes of it.

const SIDE = 208;

function differenceText(value) {
  if (value === 0) return "0";
  return value < 0.01 ? value.toExponential(0).replace("e-", " × 10⁻").replace(/⁻(\d+)/, (_, d) => `⁻${[...d].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`) : value.toFixed(2);
}

function rowsOf(models, facts, label) {
  const best = (p) => p.indexOf(Math.max(...p));
  return models.map(({ name, probabilities, right, moved }) => ({
    name, guess: best(probabilities), value: probabilities[label], sure: Math.max(...probabilities), right, moved,
  }));
}

function describeShuffle(model, rows, facts) {
  const [strength, along, example] = ["strength", "along", "example"].map((name) => model.get(name));
  const names = facts.class_names;
  const label = names[facts.labels[example]];
  const start = strength ? `${strength} % of the pixels shuffled, positions ${along ? "moved along" : "left behind"}.` : "Nothing shuffled.";
  const each = rows.map((r) => `${r.name} says ${names[r.guess]} (${percent(r.sure)}), right on ${r.right} of ${facts.total}, logits moved by ${differenceText(r.moved)}`);
  return `Example ${example}, a ${label}. ${start} ${each.join("; ")}.`;
}

function table(facts) {
  const cells = facts.models.map(() => ["guess", "right", "moved"].map(() => create("td")));
  const body = facts.models.map((name, i) => create("tr", {}, create("th", { scope: "row" }, name), ...cells[i]));
  const node = create("table", { class: "pl-table" },
    create("thead", {}, create("tr", {}, ...["Model", "Says", "Right", "Logits moved by"].map((t) => create("th", { scope: "col" }, t)))),
    create("tbody", {}, ...body));
  const set = (rows) => rows.forEach((r, i) => {
    [facts.class_names[r.guess], `${r.right} of ${facts.total}`, differenceText(r.moved)].forEach((text, k) => { cells[i][k].textContent = text; });
  });
  return { node, set };
}

function shuffleFinds(now, facts) {
  let first = null;  // the least share of pixels at which some model lost more than half of the examples
  return discoveries([
    {
      task: "Shuffle half of the pixels or more, and let their positions move along. Whose logits stay?",
      found: () => {
        const { strength, along, rows } = now;
        if (!along || strength < 50) return null;
        return `${rows.map((row) => `${row.name}'s move by ${differenceText(row.moved)}`).join(", ")}.`;
      },
    },
    {
      task: "Leave the positions behind. Who is the first to lose more than half of the examples?",
      found: () => {
        const { strength, along, rows } = now;
        const lost = along ? [] : rows.filter((row) => row.right < facts.total / 2).map((row) => row.name);
        if (lost.length && (!first || strength < first.strength)) first = { strength, lost };
        return lost.length ? `At ${first.strength} %: ${first.lost.join(" and ")}.` : null;
      },
    },
  ]);
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { shuffled: null, original: null };
  const boards = {};
  const page = mount(el, "shuffle", "Shuffle dial", () => Object.values(boards).forEach((b) => b.paint()));
  const set = keeper(model);
  const words = readout();
  const talk = questions(model, () => words.say(SLOW));
  const example = select({
    label: "Example", value: model.get("example"), onchange: (v) => set({ example: +v }),
    options: facts.examples.map((i) => [i, `${i}: label ${facts.class_names[facts.labels[i]]}`]),
  });
  const dial = slider({ label: "Pixels shuffled", max: 100, step: facts.step, value: model.get("strength"), text: (v) => `${v}\u00a0%`, oninput: (v) => set({ strength: v }) });
  const along = checkbox({ label: "positions move along", value: model.get("along"), onchange: (v) => set({ along: v }) });
  const [height, width] = facts.shape;
  const picture = (name, title) => {
    boards[name] = still({
      label: title, width: SIDE, height: (SIDE * height) / width,
      draw: (context, w, h) => { if (now[name]) context.drawImage(now[name], 0, 0, w, h); },
    });
    return boards[name].node;
  };
  const [stored, placed] = [create("p", { class: "pl-title" }, "Pixels in the order given"), create("p", { class: "pl-title" }, "Pixels where their positions say")];
  const rightClass = create("p", { class: "pl-title" });
  const chart = bars("Probability that each model gives to the right class");
  const numbers = table(facts);
  const finds = shuffleFinds(now, facts);
  page.root.append(
    create("div", { class: "pl-controls" }, example.node, dial.node, along.node),
    create("div", { class: "pl-columns" },
      create("div", { class: "pl-panel" }, stored, picture("shuffled", "Pixels in the order given"), create("p", { class: "pl-note" }, "What a ConvNet sees.")),
      create("div", { class: "pl-panel" }, placed, picture("placed", "Pixels where their positions say"), create("p", { class: "pl-note" }, "What a model that is told positions can know.")),
      create("div", { class: "pl-panel" }, rightClass, chart.node, create("p", { class: "pl-title pl-gap" }, `All ${facts.total} examples`), numbers.node),
      finds.node),
    words.node,
    create("p", { class: "pl-note pl-busy", "aria-hidden": "true" }, "working …"));
  const refresh = latest(async () => {
    const timer = setTimeout(() => page.root.setAttribute("aria-busy", "true"), 150);
    try {
      const ask = { what: "shuffle", ...Object.fromEntries(["strength", "along", "example"].map((name) => [name, model.get(name)])) };
      const { models, buffers } = await talk.ask(ask);
      now.shuffled = await imageOf(buffers[0]);
      now.placed = ask.along ? await imageOf(buffers[1]) : now.shuffled;
      const label = facts.labels[ask.example];
      const rows = rowsOf(models, facts, label);
      rightClass.textContent = `Probability of ${facts.class_names[label]}, the right class`;
      chart.set(rows.map((r) => ({ name: r.name, value: r.value, text: chance(r.value), strong: r.guess !== label })));
      numbers.set(rows);
      Object.assign(now, { ...ask, rows });
      const text = describeShuffle(model, rows, facts);
      boards.shuffled.name(`Picture with its pixels in the order given. ${text}`);
      boards.placed.name("Picture with its pixels where their positions say.");
      words.say([text, finds.check()].filter(Boolean).join(" "));
      Object.values(boards).forEach((b) => b.paint());
    } catch (error) { words.say(error.message); } finally {
      clearTimeout(timer);
      page.root.setAttribute("aria-busy", "false");
    }
  });
  const show = () => {
    example.set(model.get("example"));
    dial.set(model.get("strength"));
    along.set(model.get("along"));
    refresh();
  };
  const names = ["example", "strength", "along"];
  for (const name of names) model.on(`change:${name}`, show);
  show();
  return () => {
    for (const name of names) model.off(`change:${name}`, show);
    talk.stop();
    words.stop();
    page.stop();
  };
}
export default { render };

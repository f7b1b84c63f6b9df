// MaskPainter: a line of bytes to paint over, a model's guesses, and how surprised it is by what stands there.

/** What the state says. What does not depend on the cursor is made once for each text, masking and answer. */
function painterView(model, now) {
  const [text, hidden] = ["text", "hidden"].map((name) => model.get(name));
  const kept = now.line;
  if (kept?.text !== text || kept.hidden !== hidden || kept.asked !== now.asked) {
    const bytes = kept?.text === text ? kept.bytes : encoded(text);
    const fits = now.asked?.text === text && String(now.asked.hidden) === String(hidden);
    const answer = fits && hidden.length ? now.answer : null;
    const guesses = answer && new Map(hidden.map((place, i) => [place, answer.guesses[i]]));
    now.line = { text, hidden, asked: now.asked, bytes, answer, guesses };
  }
  const cursor = Math.min(model.get("cursor"), now.line.bytes.length - 1);
  return { ...now.line, line: now.line, cursor, anchor: now.anchor ?? cursor };
}

/** What can be done to the text: painting, moving, choosing. */
function painterActions(model, now, { facts, change }) {
  const state = () => painterView(model, now);
  const cover = (hidden, cursor, exact = false) => {
    const sorted = [...new Set(hidden)].sort((a, b) => a - b);
    change({ hidden: facts.longest && !exact ? oneRun(sorted, cursor, facts.longest) : sorted, cursor });
  };
  const paint = (places, on, cursor) => {
    const all = state().hidden;
    // A saved page knows runs, and smudges as they are: whoever paints on a smudged text begins anew.
    const hidden = facts.longest && all.length && all.at(-1) - all[0] >= all.length ? [] : all;
    cover(on ? [...hidden, ...places] : hidden.filter((place) => !places.includes(place)), cursor);
  };
  const selected = () => {
    const { cursor, anchor } = state();
    return rangeOf(Math.min(cursor, anchor), Math.max(cursor, anchor) + 1);
  };
  const move = (to, extend) => {
    const { bytes, cursor, anchor } = state();
    const place = clamp(to, 0, bytes.length - 1);
    now.anchor = extend ? anchor : place;
    if (place !== cursor) change({ cursor: place });
    return true;
  };
  const wordAt = (place) => wordsOf(state().bytes).find(([start, end]) => place >= start && place < end);
  return {
    move, paint, selected, wordAt,
    toggle: () => {
      const places = selected();
      now.anchor = null;
      paint(places, !places.every((place) => state().hidden.includes(place)), state().cursor);
    },
    hideWord: () => {
      const { hidden, cursor } = state();
      const word = wordAt(cursor);
      if (word) cover(facts.longest ? rangeOf(...word) : [...hidden, ...rangeOf(...word)], cursor, true);
    },
    clear: () => { now.anchor = null; cover([], state().cursor, true); },
    /** Again: from another place, so that each byte comes once. */
    smudge: () => {
      now.smudges = (now.smudges + 1) % facts.smudge;
      const places = smudgeOf(state().bytes.length, now.smudges, facts.smudge);
      now.anchor = null;
      cover(places, places[0], true);
    },
    take: (text, hidden = smudgeOf(encoded(text).length, now.smudges, facts.smudge)) => {
      now.anchor = null;
      change({ text, hidden, cursor: clamp(state().cursor, 0, encoded(text).length - 1) });
    },
  };
}

/** The line of bytes, with pointer and keys. */
function painterLine(model, now, { facts, style, width, act }) {
  const drawn = lineLayer(colourTable(facts.colours), style);
  const line = board({
    label: "Text", width: MOST_COLUMNS * CELL[0], height: CELL[1],
    help: "Drag to hide bytes or show them again. Arrow keys move, Shift with arrow keys selects, Space hides or shows",
    draw: (context, w, h) => paintLine(context, w, h, { ...painterView(model, now), columns: now.columns, drawn, style }),
    onkey: (event) => {
      const { bytes, cursor } = painterView(model, now);
      if (event.key === " " || event.key === "Enter") { act.toggle(); return true; }
      const ends = { Home: 0, End: bytes.length - 1 };
      if (event.key in ends) return act.move(ends[event.key], event.shiftKey);
      const step = ARROWS[event.key];
      return step ? act.move(cursor + step[0] * now.columns + step[1], event.shiftKey) : false;
    },
  });
  let stroke = null;
  const under = (event) => {
    const { bytes } = painterView(model, now);
    const [x, y] = line.place(event);
    return Math.min(bytes.length - 1, Math.floor(y * now.rows) * now.columns + Math.floor(x * now.columns));
  };
  line.node.addEventListener("pointerdown", (event) => {
    const { hidden, cursor } = painterView(model, now);
    const place = under(event);
    line.node.setPointerCapture?.(event.pointerId);
    stroke = { on: event.shiftKey || !hidden.includes(place), last: event.shiftKey ? cursor : place };
    strike(place);
  });
  line.node.addEventListener("pointermove", (event) => { if (stroke && event.buttons & 1) strike(under(event)); });
  for (const name of ["pointerup", "pointercancel"]) line.node.addEventListener(name, () => { stroke = null; });
  const strike = (place) => {
    now.anchor = null;
    act.paint(rangeOf(Math.min(stroke.last, place), Math.max(stroke.last, place) + 1), stroke.on, place);
    stroke.last = place;
  };
  const paint = () => {
    now.columns = columnsFor(width());
    now.rows = Math.ceil(painterView(model, now).bytes.length / now.columns);
    line.resize(now.columns * CELL[0], now.rows * CELL[1]);
  };
  return { node: line.node, name: line.name, paint };
}

/** The list of texts and the field to type in. */
function painterText(model, { facts, act, say }) {
  const own = facts.texts.length;
  const short = (text) => (text.length > 34 ? `${text.slice(0, 33)}…` : text).replace(/\s+/g, " ");
  const choice = select({
    label: "Text", value: 0, options: facts.texts.map((text, i) => [i, short(text)]),
    onchange: (i) => { if (+i < own) act.take(facts.texts[+i]); },
  });
  const id = `pl-${++lastId}`;
  const count = create("span", { class: "pl-value", id: `${id}-count` });
  const field = ownKeys(create("textarea", { id, rows: 2, spellcheck: "false", "aria-describedby": `${id}-count`, readonly: facts.longest > 0 }));
  field.addEventListener("keydown", (event) => {  // JupyterLab refuses line breaks in what a cell shows
    if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || field.readOnly) return;
    event.preventDefault();
    field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input"));
  });
  field.addEventListener("input", () => {
    const problem = problemOf(field.value, facts.length);
    const before = encoded(model.get("text"));
    field.setAttribute("aria-invalid", String(problem !== null));
    count.textContent = problem ?? sizeText(field.value);
    if (problem) say(problem);
    else act.take(field.value, movedAlong(model.get("hidden"), before, encoded(field.value)));
  });
  const sizeText = (text) => `${encoded(text).length} of at most ${facts.length} bytes`;
  const show = (text) => {
    const at = facts.texts.indexOf(text);
    choice.fill([...facts.texts.map((known, i) => [i, short(known)]), ...(at < 0 ? [[own, "your own"]] : [])], at < 0 ? own : at);
    if (field.value === text && field.getAttribute("aria-invalid") !== "true") { count.textContent = sizeText(text); return; }
    if (problemOf(field.value, facts.length) && document.activeElement === field) return;  // it is being typed
    field.value = text;
    field.setAttribute("aria-invalid", "false");
    count.textContent = sizeText(text);
  };
  const node = create("div", { class: "pl-controls" }, choice.node,
    create("div", { class: "pl-field pl-type" }, create("label", { for: id }, facts.longest ? "It reads" : "Type"), field, count));
  return { node, show };
}

/** What there is to find out; each says what it measured. */
function painterFinds(view, act) {
  let letter = null;  // the surprise at the last letter that was hidden alone
  const spelled = ([start, end]) => String(view().bytes.slice(start, end));
  const hiddenWord = () => {
    const { bytes, hidden } = view();
    return wordsOf(bytes).find(([start, end]) => end - start > 2 && String(hidden) === String(rangeOf(start, end)));
  };
  const only = (test) => () => {
    const { answer, hidden, bytes } = view();
    return answer && hidden.length === 1 && test(hidden[0], bytes) ? `${bits(answer.bits)}.` : null;
  };
  const inside = (place) => { const word = act.wordAt(place); return Boolean(word) && word[0] < place && place < word[1] - 1; };
  const right = () => view().answer.guesses.filter(({ rank }) => rank === 1).length;
  return discoveries([
    { task: "Hide a space. What does it cost?", found: only((place, bytes) => bytes[place] === 32) },
    {
      task: "Hide one letter inside a word, then a whole word of three letters or more.",
      found: () => {
        letter = only(inside)() ? view().answer.bits : letter;
        return letter !== null && view().answer && hiddenWord() ? `${bits(letter)} for the letter alone, ${bits(view().answer.bits)} for each letter of the word.` : null;
      },
    },
    {
      task: "Hide a name in one of two places where it stands. Does the model copy it?",
      found: () => {
        const word = view().answer && hiddenWord();
        const twin = word && wordsOf(view().bytes).some((other) => other[0] !== word[0] && spelled(other) === spelled(word));
        return twin ? `${bits(view().answer.bits)} for each letter, ${right()} of ${word[1] - word[0]} right.` : null;
      },
    },
  ]);
}

/** The parts of the page and a function that fills them from the state. */
function painterParts(model, now, { facts, style, width, act, say }) {
  const view = () => painterView(model, now);
  const typed = painterText(model, { facts, act, say });
  const line = painterLine(model, now, { facts, style, width, act });
  const [guessTitle, guessNote, detail] = [create("p", { class: "pl-title" }), create("p", { class: "pl-note" }), bars("The model's five likeliest bytes")];
  const totals = bars("Bits per hidden byte");
  const totalTitle = create("p", { class: "pl-title" });
  const finds = painterFinds(view, act);
  const word = button("Hide this word", act.hideWord);
  const smudge = button("Smudge", act.smudge, { title: "Hide every seventh byte; again: from another place" });
  const clear = button("Show all", act.clear);
  const nodes = [typed.node, line.node,
    create("div", { class: "pl-legend" }, create("span", {}, "Under a hidden byte: the best guess, underlined where it is wrong, and the surprise, 0"), create("span", { class: "pl-ramp" }), create("span", {}, `${MOST_BITS}\u00a0bits`)),
    create("div", { class: "pl-action" }, word, smudge, clear),
    create("div", { class: "pl-columns pl-gap" },
      create("div", { class: "pl-panel" }, guessTitle, detail.node, guessNote),
      create("div", { class: "pl-panel" }, totalTitle, totals.node, create("p", { class: "pl-note" }, facts.counted ? `Counting: up to ${facts.counted} neighbours on either side.` : "Who knows nothing needs 8 bits.")),
      finds.node)];
  const fillGuess = ({ bytes, cursor, hidden, guesses }) => {
    const guess = guesses?.get(cursor);
    guessTitle.textContent = `Byte ${cursor}: what stands here?`;
    detail.node.hidden = !guess;
    guessNote.textContent = guess ? `It is ${nameOf(bytes[cursor])}: ${bits(guess.bits)} of surprise, guess number ${guess.rank}.`
      : hidden.includes(cursor) ? "The model is reading." : `The model sees it: ${nameOf(bytes[cursor])}. Hide it, and it has to guess.`;
    if (guess) detail.set(guess.top.map(([byte, share]) => ({ name: SIGNS[byte] ? `${signOf(byte)} ${nameOf(byte)}` : signOf(byte), value: share, text: chance(share), strong: byte === bytes[cursor] })));
  };
  const fill = () => {
    const all = view();
    const { answer, bytes, hidden, cursor } = all;
    typed.show(all.text);
    fillGuess(all);
    totalTitle.textContent = hidden.length ? `${hidden.length} of ${bytes.length} hidden: bits for each` : "Nothing is hidden";
    const rows = [["this model", answer?.bits], ...(facts.counted ? [["counting", answer?.counts]] : []), ["knowing nothing", MOST_BITS]];
    totals.node.hidden = !answer;
    if (answer) totals.set(rows.map(([name, value], i) => ({ name, value: value / MOST_BITS, text: value.toFixed(2), strong: i === 0 })));
    word.disabled = !act.wordAt(cursor);
    clear.disabled = !hidden.length;
    line.name(`Text. ${describePainter(all)}`);
  };
  return { nodes, fill, paint: line.paint, check: finds.check };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { line: null, asked: null, answer: null, anchor: null, columns: MOST_COLUMNS, rows: 1, smudges: 3 };
  const { style, width, ask, busy, change, say, update, run } = stage({ model, el, kind: "painter", title: "Mask painter" });
  const act = painterActions(model, now, { facts, change });
  const parts = painterParts(model, now, { facts, style, width, act, say });
  return run({
    parts,
    describe: () => [describePainter(painterView(model, now)), parts.check()].filter(Boolean).join(" "),
    updates: {
      fill: update(async () => {
        await null;  // a new text and what is hidden of it are set one after the other
        const asked = { text: model.get("text"), hidden: [...model.get("hidden")] };
        const answer = asked.hidden.length ? await busy(ask({ what: "fill", ...asked })) : null;
        Object.assign(now, { asked, answer });
      }),
    },
    needs: { text: ["fill"], hidden: ["fill"], cursor: [] },
    notes: facts.longest ? [`This saved page holds answers for up to ${facts.longest} bytes in a row, for whole words and for smudges; in the notebook the text can be typed and anything hidden.`] : [],
  });
}
export default { render };

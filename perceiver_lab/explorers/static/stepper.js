// DecodeStepper: a chorale goes on token by token. Step, go back, change a note, listen; and see what the cache holds.

const LADDERS = { temperature: Array.from({ length: 21 }, (_, i) => i / 10), top_p: Array.from({ length: 20 }, (_, i) => (i + 1) / 20) };
const MOST_ROWS = 6;

/** What the state says. */
function stepperView(model, now, facts) {
  const [tokens, place, temperature, topP, prompt] = ["tokens", "place", "temperature", "top_p", "prompt"].map((name) => model.get(name));
  const count = facts.voices.length;
  const given = facts.prompts[prompt].tokens.length;
  if (now.music?.tokens !== tokens) now.music = { tokens, ...musicOf(tokens, facts) };
  const { notes, sounding, begins } = now.music;
  const steps = Math.ceil(withoutEnd(tokens).length / count);
  const frame = rollFrame({ notes, steps, perBar: facts.per_bar });
  const text = textOf(tokens.slice(0, place));
  const answer = now.next?.text === text ? now.next : null;
  const before = sounding[place - count] ?? 0;
  const row = now.playhead !== null && now.looks ? now.looks.rows(Math.floor(now.playhead)) : answer?.weights;
  const peak = row ? Math.max(...row) : 1;
  const view = {
    tokens, place, temperature, topP, given, count, notes, sounding, begins, steps, frame, before, facts, perBar: facts.per_bar,
    playhead: now.playhead, weights: row ?? null, peak, most: row ? row.indexOf(peak) : 0,
    held: heldAfter(withoutEnd(tokens).length, given, facts), made: now.made, spoiled: now.spoiled, lost: now.lost === text,
  };
  view.next = answer && { rows: nextRows(answer.logs, view) };
  return view;
}

/** The likeliest values, with what really stands there marked. */
function nextRows(logs, { temperature, topP, before, tokens, place, facts }) {
  const stands = tokens[place];
  const value = stands === undefined ? null : stands === END ? -1 : (stands - SPECIAL) % facts.values;
  return chancesOf(logs, temperature, topP)
    .map((share, i) => ({ name: valueName(i - 1, before) ?? toneName(facts.lowest + i - 3), value: share, text: chance(share), strong: i - 1 === value, raw: logs[i] }))
    .sort((a, b) => b.value - a.value || b.raw - a.raw)
    .slice(0, MOST_ROWS);
}

/** What can be done: step, back, change a tone, play. */
function stepperActions(model, now, { facts, base, view }) {
  const { change, busy, ask, update, show } = base;
  const moved = (tokens, made) => {
    Object.assign(now, { made, spoiled: null });
    change({ tokens, place: withoutEnd(tokens).length });
  };
  /** What the last of some steps computed. */
  const madeBy = (tokens, from) => {
    const { given } = view();
    const held = heldAfter(withoutEnd(tokens).length, given, facts);
    const isFull = held.since < withoutEnd(tokens).length - from;
    return isFull
      ? { kind: "full", inputs: [0, held.events], latents: [held.first, held.events], after: held.since }
      : { kind: "step", inputs: [from + 1, held.events], latents: [from + 1, held.events] };
  };
  const fromTake = ({ tokens, temperature }) => {
    const take = facts.takes.find((one) => one.temperature === temperature && String(one.tokens.slice(0, tokens.length)) === String(tokens));
    if (!take || take.tokens.length === tokens.length) throw new Error("This saved page holds one continuation for each temperature, from the prompt as it was given, and not more. Start over, or run the notebook.");
    return take.tokens.slice(tokens.length, tokens.length + now.count);
  };
  const draw = update(async () => {
    const state = view();
    const { tokens } = state;
    if (tokens.at(-1) === END || tokens.length + 1 >= facts.context) throw new Error("The piece has ended, or the context is full: go back.");
    const settings = { count: now.count, temperature: state.temperature, top_p: state.topP, seed: model.get("seed") };
    const fresh = facts.takes.length ? fromTake(state)
      : (await busy(ask({ what: "draw", prompt: model.get("prompt"), text: textOf(tokens), ...settings }))).tokens;
    const longer = [...tokens, ...fresh];
    if (fresh.length) moved(longer, madeBy(longer, tokens.length));
  });
  const stop = () => { now.stop?.(); };
  const act = {
    step: (count) => { stop(); now.count = count; draw(); },
    back: (count) => {
      stop();
      const { tokens, given } = view();
      const shorter = tokens.slice(0, Math.max(Math.min(given, tokens.length), tokens.length - count));
      Object.assign(now, { made: { kind: "back", inputs: null, latents: null }, spoiled: null });
      change({ place: Math.min(model.get("place"), withoutEnd(shorter).length) });
      change({ tokens: shorter, place: withoutEnd(shorter).length });
    },
    over: (prompt = model.get("prompt")) => {
      stop();
      const { tokens } = facts.prompts[prompt];
      Object.assign(now, { made: { kind: "full", inputs: [0, tokens.length + 1], latents: [heldAfter(tokens.length, tokens.length, facts).first, tokens.length + 1] }, spoiled: null });
      change({ place: 0 });
      change({ prompt, tokens, place: tokens.length });
    },
    go: (place) => {
      const to = clamp(place, 0, withoutEnd(view().tokens).length);
      if (to !== model.get("place")) change({ place: to });
      return true;
    },
    /** Moves the tone that sounds at the place, where it begins. */
    shift: (semitones) => {
      stop();
      const { tokens, place, begins, held, sounding } = view();
      const begin = begins[place];
      if (begin === null || begin === undefined) return;
      const pitch = sounding[place] + semitones;
      if (pitch < facts.lowest || pitch > facts.lowest + facts.values - 3) return;
      Object.assign(now, { made: { kind: "edit", inputs: null, latents: null }, spoiled: { place: begin, inputs: [begin + 1, begin + 2], latents: [Math.max(begin + 1, held.first), held.events] } });
      change({ tokens: tokens.map((token, i) => (i === begin ? token + semitones : token)) });
    },
    play: () => {
      if (now.stop) { stop(); return; }
      const { notes, tokens, count, place, temperature, given } = view();
      const from = place < withoutEnd(tokens).length ? Math.floor(place / count) : Math.max(0, Math.floor(given / count) - facts.per_bar);
      if (tokens.length >= given + count) now.heard.add(temperature);
      now.stop = playNotes(notes, {
        perMinute: facts.per_minute, from,
        onmove: (step) => { now.playhead = step; base.paint(); },
        onend: () => { Object.assign(now, { stop: null, playhead: null }); show(); },
      });
      look();
      show();
    },
    stop,
  };
  const look = async () => {
    const tokens = withoutEnd(view().tokens);
    const text = textOf(tokens.slice(0, tokens.length - (tokens.length % facts.voices.length)));
    try {
      const { buffers } = await ask({ what: "looks", text });
      const [tiles, peaks] = [bytesOf(buffers[0]), floatsOf(buffers[1])];
      const size = text.length + 1;
      now.looks = { rows: (step) => (step < peaks.length ? Array.from(tiles.subarray(step * size, (step + 1) * size), (byte) => (peaks[step] * byte) / 255) : null) };
    } catch { now.looks = null; }  // heard without being seen
  };
  return act;
}

/** The roll, with pointer and keys. */
function stepperRoll({ facts, style, view, act }) {
  const count = facts.voices.length;
  const roll = board({
    label: "Piano roll", width: ROLL.width, height: ROLL.height,
    help: "Left and right move by a sixteenth, up and down by a voice; plus and minus move the tone; Enter steps, Backspace goes back, Space plays",
    draw: (context, w, h) => paintRoll(context, w, h, { view: view(), style }),
    onkey: ({ key }) => {
      const { place, tokens } = view();
      const move = { ArrowLeft: -count, ArrowRight: count, ArrowUp: -1, ArrowDown: 1, PageUp: -count * facts.per_bar, PageDown: count * facts.per_bar }[key];
      if (move) return act.go(place + move);
      if (key === "Home") return act.go(0);
      if (key === "End") return act.go(tokens.length);
      const deed = { "+": () => act.shift(1), "-": () => act.shift(-1), Enter: () => act.step(1), Backspace: () => act.back(1), " ": act.play }[key];
      deed?.();
      return Boolean(deed);
    },
  });
  roll.node.addEventListener("pointerdown", (event) => {
    const { frame, sounding } = view();
    const [x, y] = roll.place(event);
    const step = Math.floor((x * ROLL.width - frame.x(0)) / frame.step);
    if (step < 0) return;
    const voices = Array.from({ length: count }, (_, i) => step * count + i);
    const far = (i) => Math.abs(frame.y(sounding[i] || 60) + frame.tall / 2 - y * ROLL.height);
    const near = voices.filter((i) => i < sounding.length).sort((a, b) => far(a) - far(b));
    act.go(near[0] ?? voices[0]);
  });
  return roll;
}

function stepperFinds(view, now, facts) {
  return discoveries([
    {
      task: "Step until the cache is full. What does the next step do?",
      found: () => {
        const { made, given, tokens } = view();
        if (made.kind !== "full" || tokens.length <= given) return null;
        return `A full pass: ${plural(facts.refill_to, "latent")} are made anew, after ${facts.latents - facts.refill_to} steps of one latent each.`;
      },
    },
    {
      task: "Change a tone near the beginning, then one of the last. How many latents are spoiled, and how many input entries?",
      found: () => {
        const { spoiled, held } = view();
        if (spoiled) now.spoils[spoiled.place + 1 < held.first ? "early" : "late"] = span(spoiled.latents);
        const { early, late } = now.spoils;
        return early === undefined || late === undefined ? null : `${plural(early, "latent")} for the early tone, ${late} for the late one; of the inputs, one entry each time.`;
      },
    },
    {
      task: "Listen to a continuation at temperature 0, and to one above 1.",
      found: () => {
        const heard = [...now.heard].sort((a, b) => a - b);
        return heard.length && heard[0] === 0 && heard.at(-1) > 1 ? `Heard at ${heard.join(", ")}.` : null;
      },
    },
  ]);
}

function stepperControls(model, { facts, change, act }) {
  const saved = facts.takes.length > 0;
  const ladder = (name) => (saved && name === "temperature" ? facts.takes.map((one) => one.temperature) : [...new Set([...LADDERS[name], model.get(name)])]).sort((a, b) => a - b);
  const along = (label, name) => {
    const steps = ladder(name);
    const at = () => Math.max(0, steps.findIndex((value) => value >= model.get(name) - 1e-9));
    const made = slider({ label, max: steps.length - 1, value: at(), text: (i) => String(Number(steps[i].toFixed(2))), oninput: (i) => change({ [name]: steps[i] }) });
    made.input.disabled = saved && name === "top_p";
    return { node: made.node, set: () => made.set(at()) };
  };
  const prompt = select({ label: "Prompt", value: model.get("prompt"), options: facts.prompts.map(({ name }, i) => [i, name]), onchange: (value) => act.over(+value) });
  const sliders = [along("Temperature", "temperature"), along("Top-p", "top_p")];
  const again = button("Other dice", () => change({ seed: model.get("seed") + 1 }), { title: "Another seed for what is drawn from here on", disabled: saved });
  return { nodes: [prompt.node, ...sliders.map((one) => one.node), again], fill: () => { prompt.set(model.get("prompt")); sliders.forEach((one) => one.set()); } };
}

function stepperParts(model, now, base) {
  const { style, change, facts } = base;
  const view = () => stepperView(model, now, facts);
  const act = stepperActions(model, now, { facts, base, view });
  const controls = stepperControls(model, { facts, change, act });
  const roll = stepperRoll({ facts, style, view, act });
  const film = still({ label: "Cache", width: FILM.width, height: FILM.height, draw: (context, w, h) => paintFilm(context, w, h, { view: view(), style }) });
  const [title, work] = [create("p", { class: "pl-title" }), create("p", { class: "pl-note" })];
  const guesses = bars("What may come, the likeliest first");
  const finds = stepperFinds(view, now, facts);
  const play = button("Play", act.play);
  const shifts = [button("Tone up", () => act.shift(1)), button("Tone down", () => act.shift(-1))];
  const steps = [button("Step", () => act.step(1)), button("Sixteenth", () => act.step(facts.voices.length)), button("Bar", () => act.step(facts.voices.length * facts.per_bar))];
  const backs = [button("Back", () => act.back(1)), button("Back a bar", () => act.back(facts.voices.length * facts.per_bar)), button("Start over", () => act.over())];
  const nodes = [
    create("div", { class: "pl-controls" }, ...controls.nodes),
    create("div", { class: "pl-action" }, ...steps, ...backs, play, ...shifts),
    create("div", { class: "pl-panel" }, roll.node, film.node,
      create("p", { class: "pl-note" }, "Shaded: given. Framed in orange: the token looked at; orange bars: where the latent that says it looks. Below, the keys and values that are kept, of inputs and of latents: orange, computed by the last move; struck out, spoiled by a change.")),
    create("div", { class: "pl-columns pl-gap" }, create("div", { class: "pl-panel" }, title, guesses.node), create("div", { class: "pl-panel pl-work" }, create("p", { class: "pl-title" }, "The cache"), work), finds.node)];
  const fill = (text) => {
    const state = view();
    controls.fill();
    title.textContent = `${facts.voices[state.place % state.count]}, sixteenth ${Math.floor(state.place / state.count) + 1}: what comes?`;
    guesses.node.hidden = !state.next;
    if (state.next) guesses.set(state.next.rows);
    const { held } = state;
    work.textContent = `${describeMade(state.made, state.spoiled)} Without a cache, each token would be a pass of ${grouped(held.events - held.first)} latents over ${grouped(held.events)} inputs.`;
    play.textContent = now.stop ? "Stop" : "Play";
    backs.forEach((one) => { one.disabled = state.tokens.length <= state.given; });
    shifts.forEach((one) => { one.disabled = (state.begins[state.place] ?? null) === null; });
    roll.name(`Piano roll. ${text}`);
    film.name(`Cache: ${held.events} inputs, latents from place ${held.first} on.`);
  };
  const paint = () => { roll.paint(); film.paint(); };
  base.paint = paint;
  return { nodes, fill, paint, check: finds.check, view, stop: act.stop };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { next: null, lost: null, music: null, looks: null, playhead: null, stop: null, count: 1, spoiled: null, spoils: {}, heard: new Set(), made: { kind: "full", inputs: null, latents: null } };
  const base = { ...stage({ model, el, kind: "stepper", title: "Decode stepper" }), facts, paint: () => {} };
  const parts = stepperParts(model, now, base);
  const { held } = parts.view();
  now.made = { kind: "full", inputs: [0, held.events], latents: [held.first, held.events] };
  const end = base.run({
    parts,
    describe: () => [describeStepper(parts.view()), parts.check()].filter(Boolean).join(" "),
    updates: {
      next: base.update(async () => {
        await null;  // tokens and place are set one after the other
        const text = textOf(model.get("tokens").slice(0, model.get("place")));
        if (text.length + 1 > facts.context) { now.next = null; return; }
        const { buffers } = await base.busy(base.ask({ what: "next", prompt: model.get("prompt"), text })).catch((error) => {
          if (!facts.takes.length) throw error;
          now.lost = text;
          return {};
        });
        if (!buffers) return;
        const peak = floatsOf(buffers[2])[0];
        now.next = { text, logs: floatsOf(buffers[0]), weights: Array.from(bytesOf(buffers[1]), (byte) => (peak * byte) / 255) };
      }),
    },
    needs: { tokens: ["next"], place: ["next"], prompt: [], temperature: [], top_p: [], seed: [] },
    notes: facts.takes.length ? ["This saved page holds one continuation for each temperature, some tokens of it with all that may come; a changed tone shows what would have to be computed. In the notebook everything can be drawn anew."] : [],
  });
  return () => { parts.stop(); end(); };
}
export default { render };

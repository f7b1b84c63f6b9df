// DecodeStepper, second part: the roll and the cache as pictures, the chances after temperature and top-p, and words.

const ROLL = { width: 960, height: 300, left: 46, bottom: 18 };
const FILM = { width: 960, height: 56, row: 17 };
const VOICE_COLOURS = ["--pl-blue", "--pl-green", "--pl-pink", "--pl-text"];

/** Probabilities of the values after top-p and temperature, as `filter_logits` has them; logs[0] is the end's. */
function chancesOf(logs, temperature, topP) {
  const ascending = [...logs].sort((a, b) => a - b);
  let [sum, place] = [0, 0];
  for (const log of ascending) {
    sum += Math.exp(log);
    if (sum < 1 - topP && place < ascending.length - 1) place += 1;
  }
  const least = ascending[place];
  const most = ascending.at(-1);
  if (temperature === 0) {
    const first = logs.indexOf(most);
    return Array.from(logs, (_, i) => (i === first ? 1 : 0));
  }
  const kept = Array.from(logs, (log) => (log >= least ? Math.exp((log - most) / temperature) : 0));
  const all = kept.reduce((a, b) => a + b, 0);
  return kept.map((value) => value / all);
}

/** What the cache holds after so many tokens; the same rule as `held_after` in generation/held.py. */
function heldAfter(count, given, { latents, refill_to: refill }) {
  const events = count + 1;
  const since = Math.max(count - given, 0) % (latents - refill + 1);
  return { events, since, first: Math.max(events - since - refill, 0) };
}

/** Pitches that the roll shows, and where a step and a pitch lie. */
function rollFrame({ notes, steps, perBar }) {
  const pitches = notes.map((note) => note.pitch);
  const [low, high] = [Math.min(...pitches, 48) - 2, Math.max(...pitches, 72) + 2];
  const wide = Math.max(steps + 4, 6 * perBar);
  const x = (step) => ROLL.left + ((ROLL.width - ROLL.left) * step) / wide;
  const y = (pitch) => ((ROLL.height - ROLL.bottom) * (high - pitch)) / (high - low + 1);
  return { low, high, wide, x, y, step: x(1) - x(0), tall: y(0) - y(1) };
}

function paintRoll(context, width, height, { view, style }) {
  const { notes, sounding, frame, place, given, perBar, weights, peak, playhead, count } = view;
  const { x, y, step, tall } = frame;
  context.fillStyle = style("--pl-panel");
  context.fillRect(x(0), 0, x(given / count) - x(0), height - ROLL.bottom);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (let pitch = frame.low; pitch <= frame.high; pitch += 1) {
    if (pitch % 12) continue;
    context.fillStyle = style("--pl-faint");
    context.fillRect(x(0), y(pitch) + tall - 1, width, 1);
    context.fillStyle = style("--pl-soft");
    context.fillText(toneName(pitch), 3, y(pitch) + tall / 2);
  }
  context.textAlign = "center";
  for (let bar = 0; bar * perBar <= frame.wide; bar += 1) {
    context.fillStyle = style("--pl-faint");
    context.fillRect(x(bar * perBar), 0, 1, height - ROLL.bottom);
    context.fillStyle = style("--pl-soft");
    context.fillText(String(bar + 1), x((bar + 0.5) * perBar), height - ROLL.bottom / 2);
  }
  context.textAlign = "start";
  for (const { start, end, pitch, voice } of notes) {
    context.fillStyle = style(VOICE_COLOURS[voice]);
    context.globalAlpha = 0.75;
    context.fillRect(x(start), y(pitch) + tall * 0.15, x(end) - x(start) - 1, tall * 0.7);
    context.globalAlpha = 1;
  }
  if (weights) {
    context.fillStyle = style("--pl-orange");
    weights.forEach((weight, i) => {  // weights[0] is the start token's
      const share = weight / peak;
      if (i === 0 || share < 0.02) return;
      const [at, pitch] = [Math.floor((i - 1) / count), sounding[i - 1]];
      const high = tall * 1.3 * Math.sqrt(share) + 2;
      const middle = pitch ? y(pitch) + tall / 2 : height - ROLL.bottom - 3 - 4 * (count - 1 - ((i - 1) % count));
      context.fillRect(x(at) + 0.5, middle - high / 2, Math.max(2, step - 1), high);
    });
  }
  const line = (at, name, dash) => {
    context.strokeStyle = style(name);
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x(at), 0);
    context.lineTo(x(at), height - ROLL.bottom);
    context.stroke();
    context.setLineDash([]);
  };
  line(given / count, "--pl-soft", [3, 3]);
  if (playhead !== null) line(playhead, "--pl-orange", []);
  const pitch = sounding[place] || view.before;
  context.strokeStyle = style("--pl-orange");
  context.lineWidth = 2;
  context.strokeRect(x(Math.floor(place / count)) - 1, y(pitch || frame.low + 1) - 1, Math.max(6, step) + 2, tall + 2);
}

/** Two rows: keys and values of the inputs, and of the latents; what the last move computed in orange, spoiled ones struck. */
function paintFilm(context, width, height, { view, style }) {
  const { frame, held, count, made, spoiled } = view;
  const at = (event) => frame.x((event - 1) / count);
  const rows = [["inputs", 0, "--pl-blue", made.inputs, spoiled?.inputs], ["latents", held.first, "--pl-green", made.latents, spoiled?.latents]];
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  rows.forEach(([name, first, colour, fresh, bad], row) => {
    const top = 7 + row * (FILM.row + 8);
    context.fillStyle = style("--pl-faint");
    context.fillRect(at(0), top, at(count * frame.wide) - at(0), FILM.row);
    const fill = (from, to, name) => {
      if (to <= from) return;
      context.fillStyle = style(name);
      context.fillRect(at(from), top, Math.max(2, at(to) - at(from)), FILM.row);
    };
    fill(first, held.events, colour);
    if (fresh) fill(...fresh, "--pl-orange");
    if (bad) {
      fill(...bad, "--pl-pink");
      context.strokeStyle = style("--pl-panel");
      context.lineWidth = 1;
      context.beginPath();
      for (let x = at(bad[0]); x < at(bad[1]); x += 4) { context.moveTo(x, top + FILM.row); context.lineTo(x + 4, top); }
      context.stroke();
    }
    context.fillStyle = style("--pl-soft");
    context.fillText(name, 3, top + FILM.row / 2);
  });
}

const plural = (number, one) => `${grouped(number)} ${one}${number === 1 ? "" : "s"}`;
const span = (range) => (range ? range[1] - range[0] : 0);

/** What the last move did to the cache, in words. */
function describeMade({ kind, inputs, latents, after = 0 }, spoiled) {
  if (spoiled) {
    return `The change spoils ${plural(span(spoiled.inputs), "input entry").replace("entrys", "entries")} and ${plural(span(spoiled.latents), "latent")} in every layer: they have to be computed anew.`;
  }
  if (kind === "full") {
    const then = after ? ` Then came ${plural(after, "latent")} more, one by one.` : "";
    return `A full pass was due: ${plural(span(latents) - after, "latent")} made anew, which read ${plural(span(inputs) - after, "input")}.${then}`;
  }
  return `The last move computed ${plural(span(inputs), "input")} and ${plural(span(latents), "latent")}; all else came from the cache.`;
}

function describeStepper(view) {
  const { tokens, given, held, place, next, count, facts, steps, made, spoiled, most, lost } = view;
  const where = tokens.at(-1) === END && place >= withoutEnd(tokens).length
    ? "The piece has ended." : `${facts.voices[place % count]}, sixteenth ${Math.floor(place / count) + 1}${place < tokens.length ? ", which is there already" : " comes next"}.`;
  const best = next ? ` Likeliest: ${next.rows[0].name}, ${chance(next.rows[0].value)}.` : lost ? " What could come here is not on this saved page." : "";
  const looks = most ? ` It looks most at sixteenth ${Math.floor((most - 1) / count) + 1}, ${facts.voices[(most - 1) % count].toLowerCase()}.` : "";
  return `${steps} sixteenths, ${tokens.length - given} tokens sampled. ${where}${best}${looks} The cache holds ${plural(held.events, "input")} and ${plural(held.events - held.first, "latent")} of ${facts.latents}. ${describeMade(made, spoiled)}`;
}

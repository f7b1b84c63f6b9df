// DecodeStepper, first part: tokens as notes, and notes as sound, made in the browser of sines: nothing is downloaded.

const TONES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const toneName = (pitch) => `${TONES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
const SPECIAL = 3;
const END = 1;
const TEXT_CODE = 192;
const textOf = (tokens) => String.fromCharCode(...tokens.map((token) => TEXT_CODE + token));
const withoutEnd = (tokens) => (tokens.at(-1) === END ? tokens.slice(0, -1) : tokens);

/** Notes of tokens, and for each token which pitch sounds there (0 for silence) and where its tone began. */
function musicOf(tokens, { values, lowest, voices }) {
  const [notes, sounding, begins] = [[], [], []];
  const open = voices.map(() => null);
  withoutEnd(tokens).forEach((token, i) => {
    const [voice, start] = [i % voices.length, Math.floor(i / voices.length)];
    const value = (token - SPECIAL) % values;
    if (value > 1) {
      open[voice] = { start, end: start, pitch: lowest + value - 2, voice, place: i };
      notes.push(open[voice]);
    } else if (value === 1) open[voice] = null;
    if (open[voice]) open[voice].end = start + 1;
    sounding.push(open[voice]?.pitch ?? 0);
    begins.push(open[voice]?.place ?? null);
  });
  return { notes, sounding, begins };
}

/** What a token says: of the end, silence, a tone that goes on, or one that begins. */
function valueName(value, before) {
  if (value < 0) return "the end";
  if (value === 0) return before ? `${toneName(before)} goes on` : "stays silent";
  return value === 1 ? "falls silent" : null;
}

let speaker = null;

/** Plays notes from a step on; returns what stops it. onmove(step) comes with each frame, onend at the end. */
function playNotes(notes, { perMinute, from, onmove, onend }) {
  speaker ??= new AudioContext();
  speaker.resume();
  const length = 60 / perMinute;
  const begin = speaker.currentTime + 0.08;
  const out = speaker.createGain();
  out.gain.value = 0.16;
  out.connect(speaker.destination);
  const partials = [0, ...[1, 2, 3, 4, 5, 6].map((n) => n ** -1.5)];
  const wave = speaker.createPeriodicWave(new Float32Array(partials.length), Float32Array.from(partials));
  for (const { start, end, pitch } of notes) {
    if (end <= from) continue;
    const at = begin + Math.max(0, start - from) * length;
    const until = begin + (end - from) * length;
    const [tone, level] = [speaker.createOscillator(), speaker.createGain()];
    tone.setPeriodicWave(wave);
    tone.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    level.gain.setValueAtTime(0, at);
    level.gain.linearRampToValueAtTime(1, at + 0.015);
    level.gain.setTargetAtTime(0.35, at + 0.015, 0.9);
    level.gain.setTargetAtTime(0, Math.max(at + 0.02, until - 0.02), 0.05);
    tone.connect(level).connect(out);
    tone.start(at);
    tone.stop(until + 0.3);
  }
  const last = Math.max(from, ...notes.map((note) => note.end));
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    out.gain.setTargetAtTime(0, speaker.currentTime, 0.02);
    setTimeout(() => out.disconnect(), 200);
    onend();
  };
  const frame = () => {
    if (stopped) return;
    const step = from + Math.max(0, speaker.currentTime - begin) / length;
    if (step >= last) stop();
    else { onmove(step); requestAnimationFrame(frame); }
  };
  requestAnimationFrame(frame);
  return stop;
}

// SenseMixer: which digit is shown and which is said, how loud and how noisy, and what a model makes of both.

const SENSES = { video: { number: "shown", label: "Digit shown" }, sound: { number: "said", label: "Digit said" } };

/** One channel of the desk: which clip, its volume and its noise. */
function mixerChannel(model, sense, { facts, change }) {
  const { number, label } = SENSES[sense];
  const of = (digit) => facts.examples.filter((i) => facts.labels[i] === digit);
  const digits = [...new Set(facts.examples.map((i) => facts.labels[i]))].sort((a, b) => a - b);
  const here = () => facts.labels[model.get(number)];
  const digit = select({
    label, value: here(), options: digits.map((d) => [d, facts.class_names[d]]), onchange: (d) => change({ [number]: of(+d)[0] }),
  });
  const another = button("Another", () => {
    const all = of(here());
    change({ [number]: all[(all.indexOf(model.get(number)) + 1) % all.length] });
  });
  const level = (name, levels, text) => slider({
    label: `${sense === "video" ? "Video" : "Sound"} ${name}`, max: levels.length - 1, value: levels.indexOf(model.get(`${sense}_${name}`)),
    text: (i) => text(levels[i]), oninput: (i) => change({ [`${sense}_${name}`]: levels[i] }),
  });
  const volume = level("volume", facts.volumes, (v) => (v ? `${v}\u00a0%` : "removed"));
  const noise = level("noise", facts.noises, (v) => `${v}\u00a0%`);
  const node = create("div", { class: "pl-panel pl-channel" }, create("div", { class: "pl-action" }, digit.node, another), volume.node, noise.node);
  const show = () => {
    digit.set(here());
    another.textContent = `Another ${facts.class_names[here()]}`;
    another.hidden = of(here()).length < 2;
    volume.set(facts.volumes.indexOf(model.get(`${sense}_volume`)));
    noise.set(facts.noises.indexOf(model.get(`${sense}_noise`)));
    noise.input.disabled = !model.get(`${sense}_volume`);
  };
  return { node, show };
}

/** Frames: all of them as a strip that takes keys, the one that is looked at twice, large. */
function mixerFrames(model, now, { facts, style, change }) {
  const [frames] = facts.shape;
  const at = () => (now.playing === null ? model.get("frame") : Math.min(frames - 1, Math.floor(now.playing * frames)));
  const removed = () => !model.get("video_volume");
  const scene = () => ({ shape: facts.shape, frame: at(), removed: removed(), style });
  const strip = board({
    label: "Frames", width: frames * FRAME, height: 2 * FRAME + 6, help: "Arrow keys or a click: look at a frame",
    draw: (context) => paintFrames(context, { ...scene(), strips: now.strips }),
    onkey: (event) => {
      const step = ARROWS[event.key];
      if (!step) return false;
      change({ frame: clamp(model.get("frame") + step[0] + step[1], 0, frames - 1) });
      return true;
    },
  });
  strip.node.addEventListener("pointerdown", (event) => change({ frame: Math.floor(strip.place(event)[0] * frames) }));
  const large = ROWS.map((name) => still({
    label: TITLES[name], width: LARGE, height: (LARGE * facts.shape[1]) / facts.shape[2],
    draw: (context, w, h) => paintFrame(context, w, h, { ...scene(), strip: now.strips[name], removed: name === "given" && removed() }),
  }));
  return { strip, large, at, paint: () => [strip, ...large].forEach((one) => one.paint()) };
}

/** Waves: what is heard and what comes out. */
function mixerWaves(model, now, { style }) {
  const waves = ROWS.map((name, row) => still({
    label: TITLES[name], width: WAVE[0], height: WAVE[1],
    draw: (context, w, h) => paintWave(context, w, h, {
      samples: now.sounds[name], at: now.playing !== null && now.row === row ? now.playing : null, style,
      colour: style(row ? "--pl-orange" : "--pl-blue"), removed: !row && !model.get("sound_volume"),
    }),
  }));
  return { waves, paint: () => waves.forEach((one) => one.paint()) };
}

/** What there is to find out; each says what came out. */
function mixerFinds(model, now, facts) {
  const names = facts.class_names;
  const clean = new Map();  // what was said of clips and volumes without noise
  const state = () => {
    if (!now.said || now.asked !== keyOf(askOf(model))) return null;
    const [video, sound] = ["video", "sound"].map((sense) => {
      const [number, volume, noise] = channelOf(model, sense);
      return { label: facts.labels[number], volume, noise };
    });
    const { probabilities } = now.said;
    return { video, sound, probabilities, best: probabilities.indexOf(Math.max(...probabilities)) };
  };
  const find = (task, say) => ({ task, found: () => { const all = state(); return all && say(all); } });
  const share = ({ probabilities }, label) => `“${names[label]}” ${chance(probabilities[label])}`;
  return discoveries([
    find("Silence the sound. Does the label survive?", (all) => (all.video.volume === 100 && !all.sound.volume && !all.video.noise
      ? `${all.best === all.video.label ? "Yes" : "No"}: ${share(all, all.best)}.` : null)),
    find("Show one digit and say another. Who wins?", (all) => {
      const { video, sound, best } = all;
      if (video.label === sound.label || video.volume < 100 || sound.volume < 100 || video.noise || sound.noise) return null;
      const winner = { [video.label]: "The video", [sound.label]: "The sound" }[best] ?? "Neither";
      return `${winner}: ${share(all, video.label)}, ${share(all, sound.label)}.`;
    }),
    find("Add noise until the label flips.", ({ video, sound, best }) => {
      const { video: [shown, ...seen], sound: [said, ...heard] } = askOf(model);
      const clips = String([shown, seen[0], said, heard[0]]);
      if (!video.noise && !sound.noise) clean.set(clips, best);
      const before = clean.get(clips) ?? best;  // without its own clean answer seen, nothing is known to flip
      if (before === best) return null;
      return `Video noise ${seen[1]}\u00a0%, sound noise ${heard[1]}\u00a0%: “${names[before]}” becomes “${names[best]}”.`;
    }),
  ]);
}

const askOf = (model) => ({ what: "mix", video: channelOf(model, "video"), sound: channelOf(model, "sound") });

/** The parts of the page and a function that fills them from the state. */
function mixerParts(model, now, tools) {
  const { facts, play } = tools;
  const channels = ["video", "sound"].map((sense) => mixerChannel(model, sense, tools));
  const frames = mixerFrames(model, now, tools);
  const { waves, paint: paintWaves } = mixerWaves(model, now, tools);
  const label = bars("Probability of each label");
  const labelTitle = create("p", { class: "pl-title" });
  const notes = [create("p", { class: "pl-note" }), create("p", { class: "pl-note" })];
  const finds = mixerFinds(model, now, facts);
  const plays = ROWS.map((name, row) => button(`▶ Play ${TITLES[name].replace("W", "w")}`, () => play(row)));
  const title = (text) => create("p", { class: "pl-title" }, text);
  const nodes = [
    create("div", { class: "pl-columns" }, ...channels.map((one) => one.node), finds.node),
    create("div", { class: "pl-columns pl-gap" },
      ...ROWS.map((name, row) => create("div", { class: "pl-panel" }, title(TITLES[name]), create("div", { class: "pl-pair" }, frames.large[row].node, waves[row].node),
        create("div", { class: "pl-action" }, plays[row]), row ? notes[0] : null))),
    create("div", { class: "pl-columns pl-gap" },
      create("div", { class: "pl-panel" }, title("All frames: given above, made below"), frames.strip.node, notes[1]),
      create("div", { class: "pl-panel" }, labelTitle, label.node))];
  const fill = () => {
    channels.forEach((one) => one.show());
    if (now.said) {
      const { probabilities, psnr, snr } = now.said;
      const best = probabilities.indexOf(Math.max(...probabilities));
      const [shown, said] = ["shown", "said"].map((name) => facts.labels[model.get(name)]);
      const given = (k) => [k === shown && model.get("video_volume") ? "shown" : "", k === said && model.get("sound_volume") ? "said" : ""].filter(Boolean).join(", ");
      labelTitle.textContent = `The label: “${facts.class_names[best]}”`;
      label.set(probabilities.map((value, k) => ({ name: given(k) ? `${facts.class_names[k]} (${given(k)})` : facts.class_names[k], value, text: chance(value), strong: k === best })));
      notes[0].textContent = `Frames ${levelText(psnr, "PSNR")}, sound ${levelText(snr, "SNR")}, against the clean clips.`;
    }
    notes[1].textContent = `Frame ${frames.at() + 1} of ${facts.shape[0]} is shown large.`;
    frames.strip.name(`Frames: number ${model.get("frame") + 1} of ${facts.shape[0]} is looked at.`);
  };
  return { nodes, fill, check: finds.check, paint: () => { frames.paint(); paintWaves(); } };
}

/** What to ask when the state changes. */
function mixerUpdates(model, now, { facts, ask, busy, update }) {
  const clip = async (sense) => {
    const channel = channelOf(model, sense);
    return bytesOf((await ask({ what: "clip", sense, channel })).buffers[0]);
  };
  return {
    video: update(async () => { now.strips.given = stripOf(await clip("video"), facts.shape); }),
    sound: update(async () => { now.sounds.given = samplesOf(await clip("sound")); }),
    mix: update(async () => {
      const question = askOf(model);
      const said = await busy(ask(question));
      now.said = said;
      now.asked = keyOf(question);
      now.strips.made = stripOf(bytesOf(said.buffers[0]), facts.shape);
      now.sounds.made = samplesOf(said.buffers[1]);
    }),
  };
}

function render({ model, el }) {
  const facts = model.get("facts");
  const now = { strips: { given: null, made: null }, sounds: { given: null, made: null }, said: null, asked: null, playing: null, row: 0 };
  const { style, ask, busy, change, update, run } = stage({ model, el, kind: "mixer", title: "Sense mixer" });
  const sounding = player();
  const play = (row) => {
    const samples = row || model.get("sound_volume") ? now.sounds[ROWS[row]] : null;
    now.row = row;
    sounding.start(samples, facts.rate, facts.samples / facts.rate, (share) => { now.playing = share; parts.paint(); });
  };
  const parts = mixerParts(model, now, { facts, style, change, play });
  const stop = run({
    parts,
    describe: () => [describeMixer(model, now), parts.check()].filter(Boolean).join(" "),
    updates: mixerUpdates(model, now, { facts, ask, busy, update }),
    needs: {
      shown: ["video", "mix"], video_volume: ["video", "mix"], video_noise: ["video", "mix"],
      said: ["sound", "mix"], sound_volume: ["sound", "mix"], sound_noise: ["sound", "mix"], frame: [],
    },
    notes: facts.saved ? ["This saved page holds two senses on or off at three levels of noise; the notebook mixes all levels and more digits."] : [],
  });
  return () => { sounding.close(); stop(); };
}
export default { render };

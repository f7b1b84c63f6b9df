// SenseMixer, first part: frames and waves, and what is shown in words.

const FRAME = 46;  // pixels of a frame in the strip
const LARGE = 120;  // of the frame that is looked at
const WAVE = [300, 64];
const ROWS = ["given", "made"];
const TITLES = { given: "What the model is given", made: "What it makes of it" };

/** Samples of a WAV file of 16 bits, after the 44 bytes of its header, in [-1, 1]. */
const samplesOf = (buffer) => Float32Array.from(new Int16Array(bytesOf(buffer).slice(44).buffer), (value) => value / 32767);

/** Frames of one byte a pixel, side by side on a canvas of their own. */
function stripOf(bytes, [frames, height, width]) {
  const image = new ImageData(frames * width, height);
  for (let at = 0; at < bytes.length; at++) {
    const [frame, row, column] = [Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width];
    const out = 4 * (row * frames * width + frame * width + column);
    image.data.fill(bytes[at], out, out + 3);
    image.data[out + 3] = 255;
  }
  const canvas = new OffscreenCanvas(frames * width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Where a sense is removed: stripes, so that nobody takes it for a dark frame or for silence. */
function paintRemoved(context, x, y, width, height, style) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.fillStyle = style("--pl-panel");
  context.fillRect(x, y, width, height);
  context.strokeStyle = style("--pl-line");
  context.lineWidth = 1;
  context.beginPath();
  for (let at = x - height; at < x + width; at += 9) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

/** All frames of both rows, the one that is looked at framed. */
function paintFrames(context, { strips, shape, frame, removed, style }) {
  ROWS.forEach((name, row) => {
    const y = row * (FRAME + 6);
    if (name === "given" && removed) paintRemoved(context, 0, y, shape[0] * FRAME, FRAME, style);
    else if (strips[name]) context.drawImage(strips[name], 0, y, shape[0] * FRAME, FRAME);
    context.strokeStyle = style("--pl-focus");
    context.lineWidth = 3;
    context.strokeRect(frame * FRAME + 1.5, y + 1.5, FRAME - 3, FRAME - 3);
  });
}

/** One frame, large. */
function paintFrame(context, width, height, { strip, shape, frame, removed, style }) {
  if (removed) paintRemoved(context, 0, 0, width, height, style);
  else if (strip) context.drawImage(strip, frame * shape[2], 0, shape[2], shape[1], 0, 0, width, height);
}

/** A wave as its highest and lowest sample in each column; `at` is what is being heard, as a share of the whole. */
function paintWave(context, width, height, { samples, at, colour, removed, style }) {
  if (removed) { paintRemoved(context, 0, 0, width, height, style); return; }
  const middle = height / 2;
  context.fillStyle = style("--pl-faint");
  context.fillRect(0, middle, width, 1);
  if (samples) {
    context.fillStyle = colour;
    for (let x = 0; x < width; x++) {
      let [low, high] = [0, 0];
      for (let i = Math.floor((x * samples.length) / width); i < Math.floor(((x + 1) * samples.length) / width); i++) {
        if (samples[i] < low) low = samples[i];
        if (samples[i] > high) high = samples[i];
      }
      context.fillRect(x, middle - high * middle, 1, Math.max(1, (high - low) * middle));
    }
  }
  if (at !== null) {
    context.fillStyle = style("--pl-text");
    context.fillRect(at * width, 0, 2, height);
  }
}

/** What is played, one thing at a time. start(samples or null, rate, seconds, tick): tick(share), then tick(null). */
function player() {
  let [context, source, turn] = [null, null, 0];
  const stop = () => {
    turn += 1;
    try { source?.stop(); } catch { /* it ended by itself */ }
    source = null;
  };
  const start = (samples, rate, seconds, tick) => {
    stop();
    const mine = turn;
    if (samples) {
      context ??= new AudioContext();
      context.resume();
      const buffer = context.createBuffer(1, samples.length, rate);
      buffer.copyToChannel(samples, 0);
      source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(context.destination);
      source.start();
    }
    const began = performance.now();
    const step = () => {
      if (mine !== turn) return;
      const share = (performance.now() - began) / (1000 * seconds);
      tick(share < 1 ? share : null);
      if (share < 1) requestAnimationFrame(step);
    };
    step();
  };
  return { start, stop, close: () => { stop(); context?.close(); } };
}

const levelText = (value, unit) => (value === null ? "not measurable" : `${value.toFixed(1).replace("-", "−")}\u00a0dB ${unit}`);

/** Number of the clip, volume, noise; nothing is left of a removed one's noise. */
function channelOf(model, sense) {
  const [volume, noise] = ["volume", "noise"].map((name) => model.get(`${sense}_${name}`));
  return [model.get(sense === "video" ? "shown" : "said"), volume, volume ? noise : 0];
}

function channelText(model, sense, verb) {
  const { labels, class_names: names } = model.get("facts");
  const [number, volume, noise] = channelOf(model, sense);
  if (!volume) return `${sense === "video" ? "Video" : "Sound"} removed: its mask token takes its place.`;
  return `${verb}: “${names[labels[number]]}”, volume ${volume}\u00a0%, noise ${noise}\u00a0%.`;
}

/** All that is shown, in sentences. */
function describeMixer(model, now) {
  const parts = [channelText(model, "video", "Shown"), channelText(model, "sound", "Said")];
  if (now.said) {
    const { probabilities, psnr, snr } = now.said;
    const names = model.get("facts").class_names;
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    parts.push(`The model says “${names[order[0]]}” (${chance(probabilities[order[0]])}), then “${names[order[1]]}” (${chance(probabilities[order[1]])}).`);
    parts.push(`Its frames against the clean ones: ${levelText(psnr, "PSNR")}; its sound: ${levelText(snr, "SNR")}.`);
  }
  return parts.join(" ");
}

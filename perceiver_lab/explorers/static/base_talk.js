// Shared by all explorers, second part: the talk with Python, and what keeps a page in step with its state.

/** The same text for the same question; `key_of` in base.py makes it too. */
function keyOf(ask) {
  return JSON.stringify(ask, Object.keys(ask).sort());
}

function bytesOf(view) {
  return view instanceof ArrayBuffer ? new Uint8Array(view) : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function floatsOf(view) {
  return new Float32Array(bytesOf(view).slice().buffer);
}

/**
 * Questions to Python. ask({what, ...}) resolves to {...reply, buffers}; answers are remembered, the last 200 of them.
 * The first ones came with the widget: it is complete even while the kernel is busy with the cells that follow.
 */
function questions(model, onslow = () => {}) {
  const waiting = new Map();
  const kept = new Map((model.get("first_answers") ?? []).map(([key, reply, buffers]) => [key, Promise.resolve({ ...reply, buffers })]));
  const prefix = Math.random().toString(36).slice(2);
  let count = 0;
  const listen = (message, buffers) => {
    const entry = waiting.get(message?.id);
    if (!entry) return;
    waiting.delete(message.id);
    clearTimeout(entry.timer);
    if (message.error) entry.reject(new Error(message.error));
    else entry.resolve({ ...message.reply, buffers: buffers ?? [] });
  };
  model.on("msg:custom", listen);
  const ask = (question) => {
    const key = keyOf(question);
    if (kept.has(key)) return kept.get(key);
    const promise = new Promise((resolve, reject) => {
      const id = `${prefix}-${++count}`;
      waiting.set(id, { resolve, reject, timer: setTimeout(onslow, 4000) });
      model.send({ id, ask: question });
    });
    kept.set(key, promise);
    promise.catch(() => kept.delete(key));
    if (kept.size > 200) kept.delete(kept.keys().next().value);
    return promise;
  };
  const stop = () => {
    model.off("msg:custom", listen);
    for (const { timer } of waiting.values()) clearTimeout(timer);
  };
  return { ask, stop };
}

const SLOW = "Waiting for Python: the kernel is busy with another cell, or no longer runs.";

/** Runs work one call at a time; of the calls that come meanwhile only the last is run. */
function latest(work) {
  let running = false;
  let queued = null;
  return async function run(...values) {
    if (running) { queued = values; return; }
    running = true;
    try { await work(...values); } finally {
      running = false;
      if (queued) { const next = queued; queued = null; run(...next); }
    }
  };
}

/** Runs work with a busy mark, if it takes long enough to be seen. */
function busyMark(root) {
  let running = 0;
  return async (work) => {
    running += 1;
    const timer = setTimeout(() => root.setAttribute("aria-busy", "true"), 150);
    try { return await work; } finally {
      clearTimeout(timer);
      running -= 1;
      if (running === 0) root.setAttribute("aria-busy", "false");
    }
  };
}

/** Sets traits now and sends them soon, together. */
function keeper(model) {
  let timer = null;
  return (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    clearTimeout(timer);
    timer = setTimeout(() => model.save_changes(), 60);
  };
}


/** A PNG that Python sent. */
const imageOf = (buffer) => createImageBitmap(new Blob([bytesOf(buffer)], { type: "image/png" }));

/**
 * What every explorer that asks Python is built on. Its parts are {nodes, fill(text), paint()}; `update(work)` makes a
 * function that asks, shows what came, and says what went wrong.
 */
function stage({ model, el, kind, title }) {
  let shown = null;
  const page = mount(el, kind, title, () => shown?.parts.paint());
  const words = readout();
  const talk = questions(model, () => words.say(SLOW));
  const show = () => {
    const text = shown.describe();
    shown.parts.fill(text);
    words.say(text);
    shown.parts.paint();
  };
  const update = (work) => latest(async () => {
    try { await work(); show(); } catch (error) { words.say(error.message); }
  });
  /**
   * Puts the parts into the page and keeps them in step until the view goes away; returns what ends that. `needs` names,
   * for each trait, the updates that its change asks for; `quick`, the trait that follows the pointer: it is painted at
   * once and said with the answer. Called last, with nothing asked yet.
   */
  const run = ({ parts, describe, updates, needs, quick = null, notes = [] }) => {
    shown = { parts, describe };
    page.root.append(...parts.nodes, words.node, create("p", { class: "pl-note pl-busy", "aria-hidden": "true" }, "working …"),
      ...notes.map((note) => create("p", { class: "pl-note" }, note)));
    const watched = Object.entries(needs).map(([name, asked]) => [`change:${name}`, () => {
      for (const what of asked) updates[what]();
      if (name === quick) parts.paint();
      else show();
    }]);
    for (const [event, act] of watched) model.on(event, act);
    for (const what of new Set(Object.values(needs).flat())) updates[what]();
    show();
    return () => {
      for (const [event, act] of watched) model.off(event, act);
      talk.stop();
      words.stop();
      page.stop();
    };
  };
  return { style: page.style, width: () => Math.max(0, page.root.clientWidth - 12), ask: talk.ask, busy: busyMark(page.root), change: keeper(model), say: words.say, show, update, run };
}

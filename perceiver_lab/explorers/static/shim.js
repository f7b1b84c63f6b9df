// Stands in for Jupyter on a saved page: a model with the same methods, whose answers lie in the page.
class PageModel {
  constructor({ state, answers }) {
    this.state = { ...state, saved_page: true };
    this.answers = answers;
    this.listeners = new Map();
  }
  get(name) { return this.state[name]; }
  set(name, value) {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    this.fire(`change:${name}`, value);
  }
  save_changes() {}
  on(name, call) { this.listeners.set(name, [...(this.listeners.get(name) ?? []), call]); }
  off(name, call) { this.listeners.set(name, (this.listeners.get(name) ?? []).filter((other) => other !== call)); }
  fire(name, ...values) { for (const call of this.listeners.get(name) ?? []) call(...values); }
  send({ id, ask }) {
    const answer = this.answers[keyOf(ask)];
    const buffers = (answer?.buffers ?? []).map((text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
    const message = answer ? { id, reply: answer.reply } : { id, error: "This page was saved without that; run the notebook to see it." };
    queueMicrotask(() => this.fire("msg:custom", message, buffers));
  }
}

const holder = document.getElementById("explorer");
holder.replaceChildren();
await render({ model: new PageModel(JSON.parse(document.getElementById("data").textContent)), el: holder });
// In the frame of another page: tell it the height that is needed.
if (window.parent !== window) {
  new ResizeObserver(() => window.parent.postMessage({ height: document.body.scrollHeight }, "*")).observe(document.body);
}

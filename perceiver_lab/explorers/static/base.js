// Shared by all explorers: controls, canvases, colours. A front end is this file, base_talk.js and the explorer's own,
// one after the other, as one ES module. No imports: it needs no network.

let lastId = 0;

/** An element: create("p", {class: "x", onclick: f}, "text", child). */
function create(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Marks a control so that JupyterLab leaves its keys alone; it must stand on the focusable element itself. */
function ownKeys(node) {
  node.setAttribute("data-lm-suppress-shortcuts", "true");
  return node;
}

function slider({ label, min = 0, max, step = 1, value, text = String, oninput }) {
  const id = `pl-${++lastId}`;
  const input = ownKeys(create("input", { type: "range", id, min, max, step }));
  const shown = create("span", { class: "pl-value", "aria-hidden": "true" });
  const show = () => {
    shown.textContent = text(+input.value);
    input.setAttribute("aria-valuetext", text(+input.value));
  };
  input.addEventListener("input", () => { show(); oninput(+input.value); });
  const node = create("div", { class: "pl-field" }, create("label", { for: id }, label), input, shown);
  const set = (v) => { input.value = v; show(); };
  set(value);
  return { node, input, set, range: (least, most) => { input.min = least; input.max = most; show(); } };
}

/** options: [[value, text], ...]; values are compared as strings. */
function select({ label, options, value, onchange }) {
  const id = `pl-${++lastId}`;
  const box = ownKeys(create("select", { id, onchange: () => onchange(box.value) }));
  let filled = "";
  const fill = (list, chosen) => {
    if (filled !== String(list)) {  // an open list must not be rebuilt
      filled = String(list);
      box.replaceChildren(...list.map(([v, t]) => create("option", { value: v }, t)));
    }
    box.value = chosen;
  };
  fill(options, value);
  const node = create("div", { class: "pl-field" }, create("label", { for: id }, label), box);
  return { node, box, fill, set: (v) => { box.value = v; } };
}

function button(text, onclick, attributes = {}) {
  return ownKeys(create("button", { type: "button", class: "pl-button", onclick, ...attributes }, text));
}

function checkbox({ label, value, onchange }) {
  const id = `pl-${++lastId}`;
  const box = ownKeys(create("input", { type: "checkbox", id, onchange: () => onchange(box.checked) }));
  box.checked = value;
  const node = create("div", { class: "pl-field" }, box, create("label", { for: id }, label));
  return { node, box, set: (v) => { box.checked = v; } };
}

/** Bars with names. set(rows) takes [{name, value, mark, text, strong}], values from 0 to 1; onpick(row) makes buttons of the names. */
function bars(label, onpick = null) {
  const node = create("ul", { class: "pl-bars", "aria-label": label });
  const set = (rows) => {
    while (node.children.length > rows.length) node.lastChild.remove();
    while (node.children.length < rows.length) {
      const row = node.children.length;
      const name = onpick
        ? ownKeys(create("button", { type: "button", class: "pl-name pl-link", onclick: () => onpick(row) }))
        : create("span", { class: "pl-name" });
      node.append(create("li", {}, name,
        create("span", { class: "pl-track" }, create("span", { class: "pl-fill" }), create("span", { class: "pl-mark" })),
        create("span", { class: "pl-number" })));
    }
    rows.forEach(({ name, value, mark = null, text, strong = false }, i) => {
      const [title, track, number] = node.children[i].children;
      node.children[i].classList.toggle("pl-strong", strong);
      title.textContent = name;
      number.textContent = text;
      track.children[0].style.width = `${(100 * Math.min(1, Math.max(0, value))).toFixed(2)}%`;
      track.children[1].style.left = `${100 * (mark ?? 0)}%`;
      track.children[1].hidden = mark === null;
    });
  };
  return { node, set };
}

/** A canvas that takes focus and keys. draw(context, width, height) works in CSS pixels. */
function board({ label, width, height, draw, onkey, help = "" }) {
  const node = ownKeys(create("canvas", {
    tabindex: 0, role: "application", "aria-roledescription": "picture", "aria-label": label, title: help,
  }));
  let size = [width, height];
  const paint = () => {
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    const [w, h] = [Math.round(size[0] * ratio), Math.round(size[1] * ratio)];
    if (node.width !== w || node.height !== h) {
      Object.assign(node, { width: w, height: h });
      Object.assign(node.style, { width: `${size[0]}px`, aspectRatio: `${size[0]} / ${size[1]}` });
    }
    const context = node.getContext("2d");
    context.setTransform(w / size[0], 0, 0, h / size[1], 0, 0);
    context.clearRect(0, 0, ...size);
    context.imageSmoothingEnabled = false;
    draw(context, ...size);
  };
  node.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !onkey?.(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  /** Where an event lies: fractions of width and height, from 0 to just below 1. */
  const place = (event) => {
    const box = node.getBoundingClientRect();
    const inside = (v) => Math.min(0.999999, Math.max(0, v));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  };
  return { node, paint, place, resize: (w, h) => { size = [w, h]; paint(); }, name: (text) => node.setAttribute("aria-label", text) };
}

/**
 * Things to find out, ticked off as they are found. items: [{task, found}]; found() says what came out, or null if what is
 * shown now does not answer it. check() asks them all and returns what is answered now, in words.
 */
function discoveries(items) {
  const rows = items.map(({ task, found }) => {
    const [mark, result, state] = [create("span", { class: "pl-tick", "aria-hidden": "true" }, "○"), create("span", { class: "pl-found" }), create("span", { class: "pl-hidden" }, "To find out: ")];
    return { task, found, mark, result, state, node: create("li", {}, mark, create("span", {}, state, task, result)) };
  });
  const node = create("div", { class: "pl-panel pl-finds" }, create("p", { class: "pl-title" }, "To find out"), create("ul", {}, ...rows.map((row) => row.node)));
  const check = () => rows.map(({ task, found, mark, result, state, node: item }) => {
    const text = found();
    if (text === null) return null;
    result.textContent = ` ${text}`;
    item.classList.add("pl-done");
    mark.textContent = "✓";
    state.textContent = "Found out: ";
    return `Found out: ${task} ${text}`;
  }).filter(Boolean).join(" ");
  return { node, check };
}

/** A picture that is looked at and not operated: no focus, no keys. */
function still(settings) {
  const made = board(settings);
  made.node.removeAttribute("tabindex");
  made.node.removeAttribute("aria-roledescription");
  made.node.setAttribute("role", "img");
  return made;
}

/** What is shown, in words: at once for the eye, after a pause for screen readers, so that they are not flooded. */
function readout() {
  const seen = create("p", { class: "pl-readout", "aria-hidden": "true" });
  const heard = create("p", { class: "pl-hidden", role: "status", "aria-live": "polite" });
  let timer = null;
  const say = (text) => {
    seen.textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => { heard.textContent = text; }, 400);
  };
  return { node: create("div", {}, seen, heard), say, stop: () => clearTimeout(timer) };
}

function isDark(el) {
  for (let node = el; node instanceof Element; node = node.parentElement) {
    const parts = getComputedStyle(node).backgroundColor.match(/^rgba?\(([^)]+)\)$/)?.[1].split(/[ ,/]+/).map(Number);
    if (parts && (parts[3] ?? 1) > 0.5) return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] < 110;
  }
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * Puts the root element in place and keeps its data-theme equal to the page's real background, whatever the host calls
 * its themes. `kind` names its class, for its own style sheet: all sheets share a notebook. Calls redraw when that or the resolution changes. Returns {root, style, stop}.
 */
function mount(el, kind, name, redraw) {
  const root = create("div", { class: `pl pl-${kind}`, role: "group", "aria-label": name });
  el.replaceChildren(root);
  const update = () => {
    const theme = isDark(el) ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    redraw();
  };
  const query = window.matchMedia("(prefers-color-scheme: dark)");
  const watcher = new MutationObserver(update);
  query.addEventListener("change", update);
  window.addEventListener("resize", redraw);
  watcher.observe(document.body, { attributes: true });
  watcher.observe(document.documentElement, { attributes: true });
  const timers = [0, 300, 1500].map((wait) => setTimeout(update, wait));  // the view is put into the page after render
  const stop = () => {
    query.removeEventListener("change", update);
    window.removeEventListener("resize", redraw);
    watcher.disconnect();
    timers.forEach(clearTimeout);
  };
  return { root, stop, style: (variable) => getComputedStyle(root).getPropertyValue(variable).trim() };
}

/** 256 colours from a text of hex digits, as [r, g, b, r, g, b, ...]. */
function colourTable(text) {
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
/** A share in percent, to the digits that matter: 53, 4.2, 0.003, and less than 0.0001. */
const percent = (value) => {
  const number = 100 * value;
  if (value > 0 && value < 1e-6) return "<\u00a00.0001\u00a0%";
  const text = value >= 0.0995 ? number.toFixed(0) : value >= 0.00095 || value <= 0 ? number.toFixed(1) : number.toPrecision(1);
  return `${text}\u00a0%`;
};
/** A probability: below a thousandth nobody reads digits. */
const chance = (value) => (value > 0 && value < 0.0005 ? "<\u00a00.1\u00a0%" : percent(value));
const grouped = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");

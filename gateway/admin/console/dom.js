// Elements are made here and nowhere from text: what comes from outside is only ever shown, never parsed.

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "hidden") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return node;
}

/** h makes an element: h("p", {class: "x", onclick}, "text", child). */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** s makes an element of SVG. */
export const s = (tag, props, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

/** set changes an element's text, where it is another one. */
export function set(node, text) {
  const value = text === undefined || text === null ? "" : String(text);
  if (node.textContent !== value) node.textContent = value;
}

/** attr changes an attribute, where it is another one; null takes it away. */
export function attr(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/**
 * sync makes the children of parent those of items, in their order, and keeps the elements that stay: what is
 * focused, selected or scrolled remains so.
 */
export function sync(parent, items, keyOf, make, update) {
  parent.known ??= new Map();
  const wanted = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let node = parent.known.get(key);
    if (!node) {
      node = make(item);
      parent.known.set(key, node);
    }
    update?.(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const [key, node] of parent.known) {
    if (!wanted.has(key)) {
      node.remove();
      parent.known.delete(key);
    }
  }
}

/** table makes a table that turns into cards on a phone. Columns are {label, class?}. */
export function table(caption, columns) {
  const body = h("tbody");
  const node = h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", null, h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, columns.map((c) => h("th", { scope: "col", class: c.class }, c.label)))), body));
  /** row makes a row whose cells can be set by number. */
  const row = (props) => {
    const cells = columns.map((c, i) => h(i === 0 ? "th" : "td", { class: c.class, scope: i === 0 ? "row" : null, "data-label": c.label }));
    const tr = h("tr", props, cells);
    tr.cell = cells;
    return tr;
  };
  return { node, body, row };
}

/** put makes node the only child of a parent, where it is not. */
export function put(parent, ...nodes) {
  parent.replaceChildren(...nodes.filter(Boolean));
}

/** say tells people who do not see the page what has changed. */
export function say(text) {
  set(document.getElementById("said"), text);
}

// A small virtual DOM. The page draws itself anew with each event of its server, and what a person
// has focused, selected or scrolled has to stay as it is, so only differences are written.

const SVG = "http://www.w3.org/2000/svg";

/** Describes an element. Children are texts, numbers, elements, arrays of these; `null`, `false`
 * and `undefined` are left out. `props` are attributes, and: `on` (listeners by event), `style`
 * (CSS properties), `key` (the identity among the siblings), `ref` (called with the element). */
export function h(tag, props, ...children) {
  const { key = null, on = {}, style = {}, ref = null, ...attributes } = props ?? {};
  return {
    tag,
    key,
    on,
    style,
    ref,
    attributes,
    children: children.flat(Infinity).filter(isShown),
  };
}

/** Makes the children of `parent` what `children` describe. */
export function patch(parent, children) {
  patchChildren(parent, [children].flat(Infinity).filter(isShown));
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false && child !== true;
}

function patchChildren(parent, children) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.vkey != null) keyed.set(node.vkey, node);
  const wanted = new Set(children.map((child) => child.key).filter((key) => key != null));
  let at = parent.firstChild;
  for (const child of children) {
    const node = reuse(at, child, keyed) ?? create(parent, child);
    // A node that is moved loses its focus, so those before it that nobody wants go first.
    while (at && at !== node && node.parentNode === parent && !wanted.has(at.vkey))
      at = removed(at);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
    update(node, child);
  }
  while (at) at = removed(at);
}

/** Removes a node; the answer is the one behind it. */
function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

/** The node that becomes `child`: the one with its key, or the one that is in its place. */
function reuse(at, child, keyed) {
  if (typeof child !== "object") return at?.nodeType === 3 ? at : null;
  if (child.key !== null) {
    const node = keyed.get(child.key);
    return node?.vtag === child.tag ? node : null;
  }
  return at?.vtag === child.tag && at.vkey == null ? at : null;
}

function create(parent, child) {
  const document = parent.ownerDocument;
  if (typeof child !== "object") return document.createTextNode("");
  const isSvg = child.tag === "svg" || parent.namespaceURI === SVG;
  const node = isSvg ? document.createElementNS(SVG, child.tag) : document.createElement(child.tag);
  node.vtag = child.tag;
  node.vkey = child.key;
  node.vattributes = {};
  node.vstyle = {};
  node.vlisteners = {};
  child.ref?.(node);
  return node;
}

function update(node, child) {
  if (typeof child !== "object") {
    const text = String(child);
    if (node.data !== text) node.data = text;
    return;
  }
  updateListeners(node, child.on);
  updateStyle(node, child.style);
  // The options of a select have to be there before its value can be set.
  patchChildren(node, child.children);
  updateAttributes(node, child.attributes);
}

function updateAttributes(node, attributes) {
  for (const name of Object.keys(node.vattributes)) {
    if (!(name in attributes)) setAttribute(node, name, null);
  }
  for (const [name, value] of Object.entries(attributes)) {
    // A person may have changed what an input holds, so it is compared with the element itself.
    const isSame =
      name === "value" || name === "checked" || name === "open"
        ? node[name] === value
        : node.vattributes[name] === value;
    if (!isSame) setAttribute(node, name, value);
  }
  node.vattributes = attributes;
}

function setAttribute(node, name, value) {
  if (name === "value" || name === "checked" || name === "open") {
    node[name] = value ?? "";
  } else if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Styles are set by the object model, which the page's content security policy permits; the
 * attribute it does not. */
function updateStyle(node, style) {
  for (const name of Object.keys(node.vstyle)) {
    if (!(name in style)) node.style.removeProperty(name);
  }
  for (const [name, value] of Object.entries(style)) {
    if (node.vstyle[name] !== value) node.style.setProperty(name, value);
  }
  node.vstyle = style;
}

/** An element listens once to each event, and hands it to the newest function. */
function updateListeners(node, listeners) {
  for (const name of Object.keys(listeners)) {
    if (!(name in node.vlisteners)) {
      node.addEventListener(name, (event) => node.vlisteners[name]?.(event));
    }
  }
  for (const name of Object.keys(node.vlisteners)) {
    if (!(name in listeners)) node.vlisteners[name] = null;
  }
  Object.assign(node.vlisteners, listeners);
}

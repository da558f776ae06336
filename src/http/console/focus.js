// The focus, where the page has to move it.

/** Focuses an element that the next drawing makes. */
export function focusSoon(id) {
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(id)?.focus()));
}

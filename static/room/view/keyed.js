/**
 * Keeps an element's children equal to a list. Items that stay keep their element, and so its focus and
 * its place. When the item that one works on goes, the focus goes to the item in its place, not to its buttons: a
 * key that is pressed once more does nothing there.
 *
 * @template T
 * @param {Element} parent has no other children
 * @param {object} parts
 * @param {(item: T) => string} parts.key
 * @param {(item: T) => HTMLElement} parts.make
 * @returns {(items: readonly T[]) => void}
 */
export function keyed(parent, { key, make }) {
  /** @type {Map<string, HTMLElement>} */
  let shown = new Map();
  return (items) => {
    const wanted = new Set(items.map(key));
    const index = [...shown].findIndex(([name, node]) => !wanted.has(name) && node.contains(document.activeElement));
    for (const [name, node] of shown) if (!wanted.has(name)) node.remove();
    let place = parent.firstElementChild;
    const next = new Map();
    for (const item of items) {
      const name = key(item);
      const node = shown.get(name) ?? make(item);
      if (node === place) place = place.nextElementSibling;
      else parent.insertBefore(node, place);
      next.set(name, node);
    }
    shown = next;
    if (index >= 0) focusOn(parent.children[Math.min(index, parent.children.length - 1)] ?? null, parent);
  };
}

/** @param {Element | null} item @param {Element} parent stands in for an item, if there is none left */
function focusOn(item, parent) {
  const next = item ?? parent.closest("[tabindex]");
  if (!(next instanceof HTMLElement)) return;
  if (next === item) next.tabIndex = -1;
  next.focus({ preventScroll: true });
}

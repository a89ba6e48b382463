/**
 * Keeps an element's children equal to a list. Items that stay keep their element, and so its focus and
 * its place.
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
  };
}

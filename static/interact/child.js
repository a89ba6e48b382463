/**
 * A controller that is aborted with its parent, too. Abort it when done: until then the parent holds on to it.
 *
 * @param {AbortSignal} parent
 * @returns {AbortController}
 */
export function childOf(parent) {
  const child = new AbortController();
  if (parent.aborted) child.abort(parent.reason);
  const { signal } = child;
  parent.addEventListener("abort", () => child.abort(parent.reason), { once: true, signal });
  return child;
}

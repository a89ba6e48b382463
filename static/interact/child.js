/**
 * A controller that is also aborted with its parent. Abort it in the end: until then the parent knows it.
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

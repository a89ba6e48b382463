/**
 * Tells style sheets the height of the visible part of the page (`--seen`), where a keyboard covers it
 * instead of making it smaller (Safari knows no `interactive-widget`).
 *
 * @param {{visualViewport: VisualViewport | null, scrollTo: (x: number, y: number) => void}} window
 * @param {HTMLElement} root
 */
export function followKeyboard({ visualViewport: seen, scrollTo }, root) {
  if (seen === null) return;
  const follow = () => {
    // Zoomed in by two fingers: the page keeps its size, and only a part is visible.
    if (Math.abs(seen.scale - 1) > 0.01) return;
    const isCovered = root.clientHeight - seen.height > 1;
    if (isCovered) root.style.setProperty("--seen", `${seen.height}px`);
    else root.style.removeProperty("--seen");
    // Safari has moved the page up to show the field, which is visible now anyway.
    if (isCovered) scrollTo(0, 0);
  };
  seen.addEventListener("resize", follow);
}

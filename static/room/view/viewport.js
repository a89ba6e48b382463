/**
 * Tells style sheets how high the part of a page is that can be seen (`--seen`), where a keyboard covers it
 * instead of making it smaller (Safari knows no `interactive-widget`).
 *
 * @param {{visualViewport: VisualViewport | null, scrollTo: (x: number, y: number) => void}} window
 * @param {HTMLElement} root
 */
export function followKeyboard({ visualViewport: seen, scrollTo }, root) {
  if (seen === null) return;
  const follow = () => {
    // Zoomed in by two fingers: the page stays as it is, and is looked at in parts.
    if (Math.abs(seen.scale - 1) > 0.01) return;
    const isCovered = root.clientHeight - seen.height > 1;
    if (isCovered) root.style.setProperty("--seen", `${seen.height}px`);
    else root.style.removeProperty("--seen");
    // Safari has moved the page up to show the field, which is now where it can be seen anyway.
    if (isCovered) scrollTo(0, 0);
  };
  seen.addEventListener("resize", follow);
}

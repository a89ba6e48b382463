import { element, icon } from "../../shared/element.js";

/** The most hands at a time. */
const MOST = 24;
const LANES = 4;
/** Milliseconds without a clap after which the applause is over. */
const SILENCE = 3_000;

/** Applause that everyone sees: rising hands and their number. */
export function claps() {
  const number = element("span");
  const count = element("p", { class: "count", hidden: true }, icon("hands-clapping"), " ", number);
  const root = element("div", { class: "claps", "aria-hidden": "true" }, count);
  let heard = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let over;
  const end = () => {
    heard = 0;
    count.hidden = true;
  };
  return {
    root,
    show() {
      heard += 1;
      number.textContent = `${heard}`;
      count.hidden = false;
      clearTimeout(over);
      over = setTimeout(end, SILENCE);
      if (root.childElementCount > MOST) return;
      const hands = icon("hands-clapping");
      hands.classList.add(`lane-${heard % LANES}`);
      hands.addEventListener("animationend", () => hands.remove());
      // Without an animation its end event does not come.
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) root.append(hands);
    },
  };
}

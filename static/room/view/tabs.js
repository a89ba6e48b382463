import { element, icon } from "../../shared/element.js";

/**
 * `counted`: what {@link tabs}' numbers at this panel count, as an icon where the panel's own would mislead, and in
 * words.
 * @typedef {object} Panel
 * @property {string} name
 * @property {string} title
 * @property {string} icon
 * @property {HTMLElement} section
 * @property {{icon?: string, words: (count: number) => string}} [counted]
 */

/**
 * Chooses the one panel that a narrow screen shows. Wide screens show all; CSS decides.
 *
 * @param {string} label
 * @param {Panel[]} panels
 */
export function tabs(label, panels) {
  const choose = (/** @type {string} */ chosen) => {
    for (const { name, section } of panels) {
      section.classList.toggle("current", name === chosen);
      buttons.get(name)?.setAttribute("aria-pressed", `${name === chosen}`);
    }
  };
  /** @type {Map<string, number>} */
  const counts = new Map();
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map(
    panels.map(({ name }) => [
      name,
      element("button", { type: "button", click: () => choose(name) }),
    ]),
  );
  const show = (/** @type {Panel} */ { name, title, icon: picture, section, counted }, count = 0) => {
    const words = count > 0 ? (counted?.words(count) ?? `${count}`) : "";
    const mark = () => {
      if (count === 0) return [];
      const signs = counted?.icon ? [icon(counted.icon)] : [];
      const named = { role: "img", "aria-label": words, title: words };
      return [element("span", { class: "mark strong", ...named }, ...signs, `${count}`)];
    };
    const sign = element("span", { class: "sign" }, icon(picture), ...mark());
    // Its name is made of these: another one would not be what is seen (WCAG 2.5.3).
    buttons.get(name)?.replaceChildren(sign, title);
    section.querySelector("h2")?.replaceChildren(title, ...mark());
  };
  for (const panel of panels) show(panel);
  choose(panels[0].name);
  return {
    nav: element("nav", { class: "tabs", "aria-label": label }, ...buttons.values()),
    choose,
    /** How much waits in a panel. @param {string} name @param {number} count */
    count(name, count) {
      for (const panel of panels) {
        if (panel.name !== name || counts.get(name) === count) continue;
        counts.set(name, count);
        show(panel, count);
      }
    },
  };
}

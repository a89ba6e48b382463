import { element } from "./element.js";

/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("./panel.js").Panel} Panel */

/** On narrow screens, chooses the one panel that is shown. Wide ones show all; CSS decides. */
export class PanelSwitch {
  /** @type {Map<Panel, HTMLButtonElement>} */
  #buttons = new Map();

  /** @param {I18n} i18n @param {Panel[]} panels */
  constructor(i18n, panels) {
    this.i18n = i18n;
    for (const panel of panels) {
      const click = () => this.choose(panel);
      this.#buttons.set(panel, element("button", { type: "button", click }, panel.title));
      panel.unread = (count) => this.#mark(panel, count);
    }
    const label = i18n.say("room.parts");
    this.nav = element("nav", { class: "switch", "aria-label": label }, ...this.#buttons.values());
    this.choose(panels[0]);
  }

  /** @param {Panel} chosen */
  choose(chosen) {
    for (const [panel, button] of this.#buttons) {
      const current = panel === chosen;
      button.setAttribute("aria-pressed", `${current}`);
      panel.section.classList.toggle("current", current);
    }
  }

  /** @param {Panel} panel @param {number} count */
  #mark(panel, count) {
    const button = this.#buttons.get(panel);
    const mark = element("span", { class: "mark" }, this.i18n.say("panel.unread", { count }));
    button?.replaceChildren(panel.title, ...(count > 0 ? [" ", mark] : []));
  }
}

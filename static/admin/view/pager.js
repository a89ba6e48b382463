import { element } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";

/**
 * The place among pages that each begin after a key, with the buttons for the one before and the next one.
 *
 * @param {import("../../shared/i18n.js").I18n} i18n
 * @param {object} how
 * @param {string} how.words what the words of it begin with: `.page`, `.previous`, `.next`
 * @param {() => void} how.turned is called when another page is wanted
 */
export function pager(i18n, { words, turned }) {
  /** The keys that the pages up to the shown one come after. @type {string[]} */
  let cursors = [];
  /** @type {string | undefined} */
  let following;
  const place = element("span", { class: "soft" });
  /** @param {string} name @param {() => void} change of the cursors */
  const button = (name, change) => {
    const click = () => {
      change();
      turned();
    };
    return element("button", { type: "button", click }, i18n.say(`${words}.${name}`));
  };
  const previous = button("previous", () => cursors.pop());
  const next = button("next", () => following !== undefined && cursors.push(following));
  return {
    row: element("div", { class: "row end" }, place, previous, next),
    /** The key that the wanted page comes after, as part of a query. @returns {{after?: string}} */
    get query() {
      const after = cursors.at(-1);
      return after === undefined ? {} : { after };
    },
    begin() {
      cursors = [];
    },
    /** A page is shown. @param {string | undefined} key that the next one comes after; none follows without it */
    shown(key) {
      following = key;
      place.textContent = i18n.say(`${words}.page`, { page: cursors.length + 1 });
      switchOff(previous, cursors.length === 0);
      switchOff(next, key === undefined);
    },
  };
}

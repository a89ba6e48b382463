import { element } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * Covers a page whose session has become another user's, until it is loaded again for that user.
 *
 * @param {I18n} i18n
 * @param {HTMLElement} page
 * @param {string | null} user whose session it is now; null as long as that is not known
 */
export function otherUser(i18n, page, user) {
  const who = user ?? i18n.say("session.somebody");
  const goOn = element(
    "button",
    { type: "button", class: "primary", click: () => location.reload() },
    user === null ? i18n.say("session.load") : i18n.say("session.goOn", { user }),
  );
  const words = element("p", {}, i18n.say("session.changed", { user: who }));
  const cover = element(
    "main",
    { class: "login" },
    element("div", { class: "card", role: "alert" }, words, goOn),
  );
  // A login form, or this notice from before the name was known.
  for (const other of document.querySelectorAll("main.login")) other.remove();
  // An open dialog would block the notice, although it is hidden with the page.
  for (const dialog of page.querySelectorAll("dialog")) dialog.close();
  page.hidden = true;
  document.body.append(cover);
  goOn.focus();
}

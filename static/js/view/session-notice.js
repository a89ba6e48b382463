import { element } from "./element.js";

/** @typedef {import("../i18n.js").I18n} I18n */

/**
 * Covers a page whose session has become somebody else's, until it is loaded again as theirs.
 *
 * @param {I18n} i18n
 * @param {HTMLElement} page
 * @param {string} user whose session it is now
 */
export function otherUser(i18n, page, user) {
  const goOn = element(
    "button",
    { type: "button", class: "primary", click: () => location.reload() },
    i18n.say("session.goOn", { user }),
  );
  // An open one would keep the notice out of reach, although it is hidden with the page.
  for (const dialog of page.querySelectorAll("dialog")) dialog.close();
  page.hidden = true;
  document.body.append(
    element(
      "main",
      { class: "login" },
      element(
        "div",
        { class: "card", role: "alert" },
        element("p", {}, i18n.say("session.changed", { user })),
        goOn,
      ),
    ),
  );
  goOn.focus();
}

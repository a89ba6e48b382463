import { ApiError } from "../api-error.js";
import { element, field } from "./element.js";

/** @typedef {import("../api.js").Api} Api */
/** @typedef {import("../api.js").Session} Session */
/** @typedef {import("../i18n.js").I18n} I18n */

/**
 * Cover the page with a login form until somebody has logged in. What is under it stays as it is.
 *
 * @param {{api: Api, i18n: I18n, page: HTMLElement, again: boolean}} parts `again`: the session has
 *   ended in the middle of something
 * @returns {Promise<Session>}
 */
export function logIn({ api, i18n, page, again }) {
  return new Promise((resolve) => {
    const user = element("input", { autocomplete: "username", required: true });
    const password = element("input", {
      type: "password",
      autocomplete: "current-password",
      required: true,
    });
    const problem = element("p", { role: "alert", class: "problem" });
    const button = element("button", { class: "primary" }, i18n.say("login.submit"));
    const submit = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      problem.textContent = "";
      button.disabled = true;
      try {
        const session = await api.logIn(user.value, password.value);
        cover.remove();
        page.hidden = false;
        resolve(session);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const wrong = error.status === 401;
        problem.textContent = wrong ? i18n.say("login.wrong") : i18n.explain(error);
        password.select();
      } finally {
        button.disabled = false;
      }
    };
    const cover = element(
      "main",
      { class: "login" },
      element("h1", {}, i18n.say("appName")),
      element(
        "form",
        { submit, class: "card" },
        element("h2", {}, i18n.say("login.title")),
        ...(again ? [element("p", { role: "status" }, i18n.say("login.again"))] : []),
        field(i18n.say("login.user"), user),
        field(i18n.say("login.password"), password),
        problem,
        button,
      ),
    );
    // An open one would keep the form out of reach, although it is hidden with the page.
    for (const dialog of page.querySelectorAll("dialog")) dialog.close();
    page.hidden = true;
    document.body.append(cover);
    user.focus();
  });
}

import { Problem } from "../interact.js";
import { element, field } from "./element.js";

/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../interact/types.js").Session} Session */

/**
 * Cover the page with a login form until somebody has logged in. What is under it stays as it is.
 *
 * @param {object} parts
 * @param {(user: string, password: string) => Promise<Session>} parts.logIn
 * @param {I18n} parts.i18n
 * @param {HTMLElement} parts.page
 * @param {boolean} parts.again the session has ended in the middle of something
 * @returns {Promise<Session>}
 */
export function askToLogIn({ logIn, i18n, page, again }) {
  return new Promise((resolve) => {
    const user = element("input", {
      autocomplete: "username",
      autocapitalize: "none",
      spellcheck: "false",
      required: true,
    });
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
        const session = await logIn(user.value.trim(), password.value);
        cover.remove();
        page.hidden = false;
        resolve(session);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
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
      element(
        "header",
        {},
        element("img", { src: "/static/icon.svg", alt: "" }),
        element("h1", {}, i18n.say("appName")),
        element("p", { class: "soft" }, i18n.say("tagline")),
      ),
      element(
        "form",
        { submit, class: "card", "aria-label": i18n.say("login.title") },
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

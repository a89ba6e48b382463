import { PATH } from "../interact/gateway-address.js";
import { Problem } from "../interact/index.js";
import { commitsOnly } from "./commit.js";
import { element, field } from "./element.js";
import { switchOff } from "./off.js";

/** @typedef {import("./i18n.js").I18n} I18n */
/** @typedef {import("../interact/types.js").Session} Session */

/**
 * Cover the page with a login form until somebody has logged in. The page under it stays unchanged.
 *
 * @param {object} parts
 * @param {(user: string, password: string) => Promise<Session>} parts.logIn
 * @param {I18n} parts.i18n
 * @param {HTMLElement} parts.page
 * @param {boolean} parts.again the session has ended in the middle of something
 * @param {boolean} [parts.joins] whether one can also come by a class code
 * @param {AbortSignal} [parts.signal] somebody has logged in elsewhere
 * @returns {Promise<Session | null>} null when the signal has ended it
 */
export function askToLogIn({ logIn, i18n, page, again, signal, joins = false }) {
  return new Promise((resolve) => {
    const user = element("input", {
      dir: "auto",
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
    const done = (/** @type {Session | null} */ session) => {
      cover.remove();
      page.hidden = false;
      resolve(session);
    };
    const submit = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      problem.textContent = "";
      switchOff(button, true);
      try {
        while (!signal?.aborted && (await failed()));
      } finally {
        switchOff(button, false);
      }
    };
    /** Log in; whether to try again, with what the form has then. */
    const failed = async () => {
      try {
        done(await logIn(user.value.trim(), password.value));
        return false;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        problem.textContent = explain(error);
        // Nothing was checked: a whole school logs in at once, or others were wrong. An earlier try
        // would only get the same answer.
        const waits = [429, 503].includes(error.status) && error.retryAfter !== null;
        if (waits) await patience(error.retryAfter ?? 0);
        else password.select();
        return waits;
      }
    };
    const explain = (/** @type {Problem} */ error) => {
      if (error.status === 401) return i18n.say("login.wrong");
      const word = error.status === 429 ? "login.wait" : "login.busy";
      if (![429, 503].includes(error.status) || error.retryAfter === null) {
        return i18n.explain(error);
      }
      return i18n.say(word, { time: i18n.duration(Math.ceil(error.retryAfter / 1000)) });
    };
    const patience = (/** @type {number} */ milliseconds) =>
      new Promise((over) => setTimeout(over, milliseconds));
    const cover = element(
      "main",
      { class: "login" },
      element(
        "header",
        {},
        element("img", { src: pageIcon(), alt: "" }),
        element("h1", {}, i18n.say("appName")),
        element("p", { class: "soft" }, i18n.say("tagline")),
      ),
      element(
        "form",
        { submit, keydown: commitsOnly, class: "card", "aria-label": i18n.say("login.title") },
        ...(again ? [element("p", { role: "status" }, i18n.say("login.again"))] : []),
        field(i18n.say("login.user"), user),
        field(i18n.say("login.password"), password),
        problem,
        button,
        ...(joins && !again ? [element("a", { href: `${PATH}/j/` }, i18n.say("join.byCode"))] : []),
      ),
    );
    signal?.addEventListener("abort", () => done(null));
    // An open dialog would block the form, although it is hidden with the page.
    for (const dialog of page.querySelectorAll("dialog")) dialog.close();
    page.hidden = true;
    document.body.append(cover);
    user.focus();
  });
}

/** The page's own icon, which is loaded anyway: its address is the page's business. */
function pageIcon() {
  /** @type {HTMLLinkElement | null} */
  const link = document.querySelector('link[rel="icon"]');
  return link?.href ?? "";
}

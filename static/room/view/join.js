import { PATH } from "../../interact/gateway-address.js";
import { Problem } from "../../interact/index.js";
import { patience } from "../class-code.js";
import { commitsOnly } from "../../shared/commit.js";
import { element, field } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../class-code.js").Answer} Answer */

/** Characters of a nickname, and of a code with blanks and hyphens, as the gateway takes them. */
const LONGEST_NICKNAME = "30";
const LONGEST_CODE = "20";

/**
 * The page of a class code: it brings in who is logged in, and asks everybody else for a nickname, or lets them log
 * in. It goes on by itself where one has to wait, and after a reload.
 *
 * @param {object} parts
 * @param {I18n} parts.i18n
 * @param {HTMLElement} parts.page
 * @param {string} parts.code from the address; empty: it is asked for
 * @param {(body: object) => Promise<Answer>} parts.join
 * @param {() => Promise<unknown>} parts.logIn shows the login form until somebody has logged in
 * @param {(milliseconds: number) => Promise<void>} parts.wait
 * @param {Pick<Storage, "getItem" | "setItem" | "removeItem">} parts.storage of this tab
 * @returns {Promise<number>} the room
 */
export function askToJoin({ i18n, page, code, join, logIn, wait, storage }) {
  const title = element("h1", {}, i18n.say("join.title"));
  const note = element("p", { role: "status", class: "soft" });
  const problem = element("p", { role: "alert", class: "problem" });
  const letters = element("input", {
    ...{ required: true, maxlength: LONGEST_CODE, autocomplete: "off", spellcheck: "false", lang: "en" },
    ...{ autocapitalize: "characters", class: "letters" },
  });
  letters.value = code;
  const nickname = element("input", {
    ...{ required: true, dir: "auto", maxlength: LONGEST_NICKNAME, autocomplete: "nickname" },
  });
  const asksCode = field(i18n.say("join.code"), letters);
  const asksName = field(i18n.say("join.nickname"), nickname, i18n.say("join.nicknameHint"));
  const button = element("button", { class: "primary" }, i18n.say("join.enter"));
  const account = element("button", { type: "button", class: "quiet" }, i18n.say("join.account"));
  const form = element(
    "form",
    { class: "card", keydown: commitsOnly, "aria-label": i18n.say("join.title") },
    ...[asksCode, asksName, note, problem, button, account],
  );
  const cover = element(
    "main",
    { class: "login" },
    element("header", {}, element("img", { src: `${PATH}/static/shared/icon.svg`, alt: "" }), title),
    form,
  );
  /** The proof of a knock outlives a reload. */
  const kept = `interact.knock${PATH}.${code}`;

  return new Promise((resolve) => {
    /** One attempt after the other, until it is decided. @param {object} wanted */
    const come = async (wanted) => {
      problem.textContent = "";
      for (const one of [button, account]) switchOff(one, true);
      try {
        for (let body = wanted; ; ) {
          const answer = await patiently({ code: letters.value, ...body });
          if (answer.joined) return enter(answer.room);
          title.replaceChildren(element("bdi", {}, answer.title));
          asksCode.hidden = true;
          if (!answer.knock) return askName(answer.guests === "knock");
          storage.setItem(kept, answer.knock);
          show("waiting");
          await wait((answer.ask_again ?? 2) * 1000 * (0.9 + 0.2 * Math.random()));
          body = { knock: answer.knock };
        }
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        await refused(error);
      } finally {
        for (const one of [button, account]) switchOff(one, false);
      }
    };
    /** @param {object} body */
    const patiently = async (body) => {
      for (;;) {
        try {
          return await join(body);
        } catch (error) {
          const pause = patience(error, Math.random);
          if (pause === null) throw error;
          note.textContent = i18n.explain(/** @type {Problem} */ (error));
          await wait(pause);
        }
      }
    };
    const refused = async (/** @type {Problem} */ error) => {
      storage.removeItem(kept);
      note.textContent = "";
      problem.textContent = i18n.explain(error);
      if (error.code === "unknown_code" || error.code === "too_many_codes") show("code");
      else if (error.code === "guests_refused") await asOneself();
      else if (error.code === "unknown_knock" || error.code === "turned_away") show("name");
    };
    const enter = (/** @type {number} */ room) => {
      storage.removeItem(kept);
      cover.remove();
      resolve(room);
    };
    const askName = (/** @type {boolean} */ knocks) => {
      button.textContent = i18n.say(knocks ? "join.knock" : "join.enter");
      show("name");
    };
    /** @param {"code" | "name" | "waiting"} step */
    const show = (step) => {
      asksCode.hidden = step !== "code";
      asksName.hidden = step !== "name";
      // A required field that is hidden would hold up the form in silence.
      letters.disabled = asksCode.hidden;
      nickname.disabled = asksName.hidden;
      button.hidden = step === "waiting";
      account.hidden = step !== "name";
      note.textContent = step === "waiting" ? i18n.say("join.waiting") : "";
      (step === "code" ? letters : nickname).focus();
    };
    const asOneself = async () => {
      cover.remove();
      await logIn();
      page.replaceChildren(cover);
      await come({});
    };
    account.addEventListener("click", () => void asOneself());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void come(asksName.hidden ? {} : { nickname: nickname.value });
    });
    page.replaceChildren(cover);
    show("code");
    asksName.hidden = true;
    if (!code) return;
    asksCode.hidden = true;
    const knock = storage.getItem(kept);
    void come(knock ? { knock } : {});
  });
}

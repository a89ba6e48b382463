import { AdminApi } from "../admin/api.js";
import { askBack } from "../admin/view/ask.js";
import { WORDS as ADMIN_WORDS } from "../admin/words.js";
import { GATEWAY, PATH } from "../interact/gateway-address.js";
import { elsewhere } from "../shared/elsewhere.js";
import { element } from "../shared/element.js";
import { chooseLanguage, I18n } from "../shared/i18n.js";
import { askToLogIn } from "../shared/login.js";
import { AccountsApi } from "./api.js";
import { allAccounts } from "./view/all-accounts.js";
import { newAccounts } from "./view/new-accounts.js";
import { slipsSection } from "./view/slips.js";
import { WORDS } from "./words.js";

/**
 * Everything that the views use.
 * @typedef {object} Context
 * @property {AccountsApi} api
 * @property {I18n} i18n
 * @property {(plan: import("../admin/view/ask.js").Plan) => void} ask
 * @property {() => string} me the admin's own name
 */

const language = chooseLanguage(navigator.languages);
const i18n = new I18n(language, { ...ADMIN_WORDS[language], ...WORDS[language] });
document.documentElement.lang = language;
document.title = i18n.say("appName");

let me = "";
const page = element("div", { class: "dashboard" });
document.body.append(page);

/** The other tabs of this browser, which share the session. */
const others = elsewhere(({ what }) => what === "out" && leave());

/** One login at a time, however many calls are refused. @type {Promise<unknown> | null} */
let loggingIn = null;
const endpoint = { fetch: fetch.bind(globalThis), base: GATEWAY, cookies: true };
/** @type {AdminApi} */
const admin = new AdminApi(endpoint, (problem) => {
  const noAdmin = problem.status === 403;
  const why = problem.code === "kept_out" ? i18n.explain(problem) : i18n.say("refused");
  const words = noAdmin ? { ...i18n.words, "login.again": why } : i18n.words;
  loggingIn ??= askToLogIn({
    async logIn(user, password) {
      const session = await admin.logIn(user, password);
      others.tell("in", session.user);
      me = session.user;
      return session;
    },
    i18n: new I18n(language, words),
    page,
    again: noAdmin || me !== "",
  }).finally(() => (loggingIn = null));
  return loggingIn;
});

async function logOut() {
  await admin.logOut();
  others.tell("out", "");
  leave();
}

/** Begin anew, without the passwords, which nothing may hold up. */
function leave() {
  slips.drop();
  location.reload();
}

const { dialog, ask } = askBack(i18n);
const context = { api: new AccountsApi(admin), i18n, ask, me: () => me };
const slips = slipsSection(i18n, { dropped: () => fresh.drop() });
const all = allAccounts(context, { made: slips.add });
const fresh = newAccounts(context, {
  made(list) {
    slips.add(list);
    void all.refresh();
  },
});
page.append(
  element(
    "header",
    { class: "top" },
    element("h1", {}, i18n.say("title")),
    element("a", { class: "button", href: `${PATH}/admin` }, i18n.say("dashboard")),
    element("button", { type: "button", click: () => void logOut() }, i18n.say("logOut")),
  ),
  element("main", {}, fresh.section, slips.section, all.section),
  dialog,
);

// The first call asks for a login, if one is needed.
me = (await admin.call("GET", "/api/session")).user;
await all.refresh();

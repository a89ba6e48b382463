import { GATEWAY, PATH } from "../interact/gateway-address.js";
import { elsewhere } from "../shared/elsewhere.js";
import { chooseLanguage, I18n } from "../shared/i18n.js";
import { element } from "../shared/element.js";
import { askToLogIn } from "../shared/login.js";
import { AdminApi } from "./api.js";
import { Format } from "./format.js";
import { Picture } from "./picture.js";
import { subjectOf } from "./subject.js";
import { askBack } from "./view/ask.js";
import { charts } from "./view/charts.js";
import { connectionsTable } from "./view/connections.js";
import { eventsTable } from "./view/events.js";
import { gatewaysTable } from "./view/gateways.js";
import { journal } from "./view/journal.js";
import { messagePage } from "./view/message-page.js";
import { nodesTable } from "./view/nodes.js";
import { subjectPage } from "./view/subject-page.js";
import { WORDS } from "./words.js";

/** @typedef {import("./view/ask.js").Plan} Plan */

/**
 * Everything that the views use.
 * @typedef {object} Context
 * @property {AdminApi} api
 * @property {I18n} i18n
 * @property {Format} format
 * @property {(plan: Plan) => void} ask
 * @property {() => boolean} orders whether the user may give orders, and not only see
 */

const language = chooseLanguage(navigator.languages);
const i18n = new I18n(language, WORDS[language]);
const format = new Format(language);
document.documentElement.lang = language;
document.title = i18n.say("appName");

/** Whether anything was shown yet. */
let begun = false;
const page = element("div", { class: "dashboard" });
document.body.append(page);

/** The other tabs of this browser, which share the session. */
const others = elsewhere(({ what }) => what === "out" && location.reload());

async function logOut() {
  await api.logOut();
  others.tell("out", "");
  location.reload();
}

/** One login at a time, however many calls are refused. @type {Promise<unknown> | null} */
let loggingIn = null;

const endpoint = { fetch: fetch.bind(globalThis), base: GATEWAY, cookies: true };
/** @type {AdminApi} */
const api = new AdminApi(endpoint, (problem) => {
  // The form gives the reason: the session has ended, or its user is not an admin.
  const noAdmin = problem.status === 403;
  const why = problem.code === "kept_out" ? i18n.explain(problem) : i18n.say("refused");
  const words = noAdmin ? { ...i18n.words, "login.again": why } : i18n.words;
  loggingIn ??= askToLogIn({
    async logIn(user, password) {
      const session = await api.logIn(user, password);
      others.tell("in", session.user);
      return session;
    },
    i18n: new I18n(language, words),
    page,
    again: noAdmin || begun,
  }).finally(() => (loggingIn = null));
  return loggingIn;
});

const { dialog, ask } = askBack(i18n);
let isAdmin = false;
/** @type {Context} */
const context = { api, i18n, format, ask, orders: () => isAdmin };
const parts = [charts(context), gatewaysTable(context), nodesTable(context), eventsTable(context)];
const [overview, gateways, nodes, events] = parts;
const connections = connectionsTable(context);
const entries = journal(context);
const status = element("p", { class: "line", role: "status" });
const toAccounts = element("a", { class: "button", href: `${PATH}/admin/accounts` }, i18n.say("accounts"));
const leave = element(
  "button",
  { type: "button", click: () => void logOut() },
  i18n.say("logOut"),
);
const main = element(
  "main",
  {},
  overview.section,
  gateways.section,
  nodes.section,
  connections.section,
  events.section,
  entries.section,
);
page.append(
  element("header", { class: "top" }, element("h1", {}, i18n.say("title")), status, toAccounts, leave),
  main,
  dialog,
);

/** The page of one subject, in place of the overview. @type {ReturnType<subjectPage> | null} */
let shownSubject = null;

function turn() {
  const subject = subjectOf(location.hash);
  const before = shownSubject?.page ?? main;
  const shown = subject?.kind === "message" ? messagePage(context, subject.name) : null;
  shownSubject = shown ?? (subject && subjectPage(context, subject));
  before.replaceWith(shownSubject?.page ?? main);
  scrollTo(0, 0);
  shownSubject?.focus();
}

const picture = new Picture();

/** @param {string} word @param {string} state */
function tell(word, state) {
  const missing = Object.entries(picture.state.missing).map(([gateway, why]) =>
    i18n.say("missing.one", { gateway, why }),
  );
  const text = [i18n.say(word), ...missing].join(" · ");
  status.dataset.state = missing.length ? "missing" : state;
  if (status.textContent !== text) status.textContent = text;
}

// The first call asks for a login, if one is needed.
const { roles } = await api.session();
isAdmin = roles.includes("admin");
toAccounts.hidden = !isAdmin;
await connections.refresh();
void entries.load();
begun = true;
addEventListener("hashchange", turn);
if (subjectOf(location.hash)) turn();
api.follow({
  told(state) {
    picture.take(state);
    for (const part of parts) part.show(picture);
    tell("live.on", "on");
    if (!document.hidden) (shownSubject ?? connections).refresh();
  },
  lost: () => tell("live.off", "off"),
});

import { Client } from "../vendor/stompjs/index.js";
import { ApiError } from "./api-error.js";
import { Api } from "./api.js";
import { chooseLanguage, I18n } from "./i18n.js";
import { Outgoing } from "./outgoing.js";
import { untilDone } from "./retry.js";
import { route } from "./route.js";
import { element } from "./view/element.js";
import { logIn } from "./view/login.js";
import { roomView } from "./view/room.js";
import { roomsView } from "./view/rooms.js";
import { wait } from "./wait.js";

/** @typedef {import("./api.js").Audience} Audience */
/** @typedef {import("./api.js").Session} Session */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("@stomp/stompjs").StompConfig} StompConfig */

/**
 * What the views work with.
 * @typedef {object} Context
 * @property {Api} api
 * @property {I18n} i18n
 * @property {Session} me
 * @property {(room: number, audience: Audience) => Outgoing} outgoing lives longer than any view
 * @property {(signal: AbortSignal) => Patience} patience
 * @property {(task: Promise<unknown>, signal: AbortSignal, failed: (problem: ApiError) => void) => void}
 *   run lets a task go on in the background, until the signal ends it
 * @property {(config: StompConfig) => Client} stompClient
 */

const language = chooseLanguage(navigator.languages);
const i18n = new I18n(language);
document.documentElement.lang = language;
document.title = i18n.say("appName");

const start = element("p", { class: "start", role: "status" }, i18n.say("loading"));
const page = element("div", {}, start);
document.body.append(page);

/** @type {Session | null} */
let me = null;

const api = new Api(async () => {
  const session = await logIn({ api, i18n, page, again: me !== null });
  if (me !== null && me.user !== session.user) {
    // What the page holds is somebody else's, and must not be sent as this user's.
    outgoing.clear();
    location.reload();
    await new Promise(() => {});
  }
});

/** @param {AbortSignal} signal @returns {Patience} */
function patience(signal) {
  return { wait, random: Math.random, signal };
}

/** What was written is sent, whichever view is open. @type {Map<string, Outgoing>} */
const outgoing = new Map();
const always = patience(new AbortController().signal);

addEventListener("beforeunload", (event) => {
  if ([...outgoing.values()].some(({ letters }) => letters.length > 0)) event.preventDefault();
});

/** @param {Session} me */
function openViews(me) {
  /** @type {Context} */
  const context = {
    api,
    i18n,
    me,
    outgoing(room, audience) {
      const key = `${audience}.${room}`;
      const found =
        outgoing.get(key) ??
        new Outgoing((message) => api.post(room, { ...message, audience }), always);
      outgoing.set(key, found);
      return found;
    },
    patience,
    run(task, signal, failed) {
      task.catch((error) => {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        failed(error);
      });
    },
    stompClient: (config) => new Client(config),
  };
  let leaving = new AbortController();
  const show = () => {
    leaving.abort();
    leaving = new AbortController();
    const wanted = route(location.hash);
    const view =
      wanted.view === "room"
        ? roomView(context, wanted.room, leaving.signal)
        : roomsView(context, leaving.signal);
    page.replaceChildren(view);
  };
  addEventListener("hashchange", show);
  show();
}

me = await untilDone(
  () => api.session(),
  always,
  (problem) => (start.textContent = i18n.explain(problem)),
);
openViews(me);

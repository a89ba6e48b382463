import { chooseLanguage, I18n } from "./i18n.js";
import { connect, Problem } from "./interact.js";
import { browser } from "./interact/browser.js";
import { napping } from "./interact/nap.js";
import { request } from "./interact/request.js";
import { untilDone } from "./interact/retry.js";
import { route } from "./route.js";
import { element } from "./view/element.js";
import { askToLogIn } from "./view/login.js";
import { roomView } from "./view/room.js";
import { roomsView } from "./view/rooms.js";

/** @typedef {import("./interact/connection.js").Connection} Connection */
/** @typedef {import("./interact/room.js").Room} Room */
/** @typedef {import("./interact/types.js").Session} Session */

/**
 * What the views work with.
 * @typedef {object} Context
 * @property {I18n} i18n
 * @property {Session} me
 * @property {Connection} connection
 * @property {(number: number) => Room} room
 * @property {() => Promise<void>} logOut
 * @property {<T>(task: () => Promise<T>, signal: AbortSignal, failed?: (problem: Problem) => void) =>
 *   Promise<T>} untilDone tries a task until it succeeds or fails for good
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} nap is over when the network is
 *   back or the page is looked at again
 * @property {(task: Promise<unknown>, signal: AbortSignal, failed: (problem: Problem) => void) => void}
 *   run lets a task go on in the background, until the signal ends it
 */

const surroundings = browser();
const nap = napping(surroundings);
const line = { fetch: surroundings.fetch, base: location.origin, cookies: true };
const language = chooseLanguage(navigator.languages);
const i18n = new I18n(language);
document.documentElement.lang = language;
document.title = i18n.say("appName");

const start = element("p", { class: "start", role: "status" }, i18n.say("loading"));
const page = element("div", {}, start);
document.body.append(page);

/** @type {Session | null} */
let me = null;

async function logIn() {
  const session = await askToLogIn({
    logIn: (user, password) => request(line, "POST", "/api/session", { body: { user, password } }),
    i18n,
    page,
    again: me !== null,
  });
  if (me === null || me.user === session.user) return;
  // What the page holds is somebody else's.
  location.reload();
  await new Promise(() => {});
}

let connection = connect({ cookie: logIn });

/** @param {Session} me @returns {Context} */
function contextOf(me) {
  return {
    i18n,
    me,
    connection,
    room: (number) => connection.room(number),
    async logOut() {
      await connection.call("DELETE", "/api/session");
      connection.close();
      location.hash = "";
      location.reload();
    },
    untilDone: (task, signal, failed) =>
      untilDone(task, { wait: surroundings.wait, nap, random: Math.random, signal }, failed),
    nap,
    run(task, signal, failed) {
      task.catch((error) => {
        if (signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        failed(error);
      });
    },
  };
}

let leaving = new AbortController();

/** @param {Session} me */
function show(me) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  // A refusal is about the room that was left.
  if (connection.state.name === "refused") {
    connection.close();
    connection = connect({ cookie: logIn });
  }
  const context = contextOf(me);
  const wanted = route(location.hash);
  const view =
    wanted.view === "room"
      ? roomView(context, wanted.room, { projected: wanted.projected, signal })
      : roomsView(context, signal);
  page.replaceChildren(view);
}

me = await untilDone(
  () => connection.session(),
  { wait: surroundings.wait, nap, random: Math.random, signal: leaving.signal },
  (problem) => (start.textContent = i18n.explain(problem)),
);
const user = me;
addEventListener("hashchange", () => show(user));
show(user);

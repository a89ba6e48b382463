import { elsewhere } from "../shared/elsewhere.js";
import { chooseLanguage, I18n } from "../shared/i18n.js";
import { connect, Problem } from "../interact/index.js";
import { browser } from "../interact/browser.js";
import { GATEWAY, PATH } from "../interact/gateway-address.js";
import { napping } from "../interact/nap.js";
import { request } from "../interact/request.js";
import { untilDone } from "../interact/retry.js";
import { Drafts } from "./drafts.js";
import { codeInPath } from "./class-code.js";
import { roomLink, route } from "./route.js";
import { ROOM_WORDS } from "./words.js";
import { element } from "../shared/element.js";
import { askToLogIn } from "../shared/login.js";
import { askToJoin } from "./view/join.js";
import { roomView } from "./view/room.js";
import { roomsView } from "./view/rooms.js";
import { otherUser } from "./view/session-notice.js";
import { followKeyboard } from "./view/viewport.js";

/** @typedef {import("../interact/connection.js").Connection} Connection */
/** @typedef {import("../interact/room.js").Room} Room */
/** @typedef {import("../interact/types.js").Session} Session */

/**
 * Everything that the views use.
 * @typedef {object} Context
 * @property {I18n} i18n
 * @property {Session} me
 * @property {Connection} connection
 * @property {(number: number) => Room} room
 * @property {Drafts} drafts
 * @property {() => Promise<void>} logOut
 * @property {() => void} reopen shows the page anew: the user's place in a room has changed
 * @property {<T>(task: () => Promise<T>, signal: AbortSignal, failed?: (problem: Problem) => void) =>
 *   Promise<T>} untilDone tries a task until it succeeds or fails for good
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} nap ends early when the network is
 *   back or the page becomes visible
 * @property {(task: Promise<unknown>, signal: AbortSignal, failed: (problem: Problem) => void) => void}
 *   run lets a task go on in the background, until the signal ends it
 */

/** Refusals that the library does not try to overcome. */
const FOR_GOOD = new Set(["kept_out", "kicked", "origin_refused", "credentials_differ"]);

/** Milliseconds after which a user who is kept out is asked about again. */
const KEPT_OUT = 10_000;

const surroundings = browser();
const nap = napping(surroundings);
const endpoint = { fetch: surroundings.fetch, base: GATEWAY, cookies: true };
const language = chooseLanguage(navigator.languages);
const i18n = new I18n(language, ROOM_WORDS[language]);
document.documentElement.lang = language;
document.title = i18n.say("appName");

const start = element("p", { class: "start", role: "status" }, i18n.say("loading"));
const page = element("div", {}, start);
document.body.append(page);
followKeyboard(window, document.documentElement);

/** @type {Session | null} */
let me = null;
let isOver = false;
/** Ends the login form that is open. @type {AbortController | null} */
let asking = null;
const others = elsewhere(({ what, user }) => {
  // A user who has logged out does not expect other tabs to go on showing the room.
  if (what === "out") location.reload();
  else if (me === null) asking?.abort();
  else if (user !== me.user) end(user);
  else asking?.abort();
});

/** Stop sending, because the session is another user's now. @param {string | null} user if it is known */
function end(user) {
  isOver = true;
  leaving.abort();
  connection.close();
  otherUser(i18n, page, user);
}

/** Notice that another user has logged in, in whatever way. @param {Connection} connection */
function watch(connection) {
  connection.addEventListener("state", () => {
    const { name, other } = connection.state;
    if (name === "user_changed") end(other);
  });
  return connection;
}

async function logIn() {
  // A guest has nothing to log in with.
  if (me?.guest_of) return leave();
  asking = new AbortController();
  const session = await askToLogIn({
    logIn: (user, password) => request(endpoint, "POST", "/api/session", { body: { user, password } }),
    i18n,
    page,
    again: me !== null,
    joins: codeInPath(location.pathname.slice(PATH.length)) === null,
    signal: asking.signal,
  });
  asking = null;
  if (session === null) return;
  others.tell("in", session.user);
  if (me === null || me.user === session.user) return;
  // The page holds another user's data.
  location.reload();
  await new Promise(() => {});
}

/** Show a guest that it is over, why, and the way in again where there is one. @returns {Promise<never>} */
async function leave() {
  isOver = true;
  const isClosed = await hasClosed();
  const again = element("a", { href: `${PATH}/j/` }, i18n.say(isClosed ? "join.other" : "join.again"));
  const told = element("p", { role: "alert" }, i18n.say(isClosed ? "join.closed" : "join.over"));
  page.replaceChildren(element("main", { class: "start" }, told, again));
  return new Promise(() => {});
}

/** Whether a guest's session has ended with its room, as gateway/rooms.py says. */
async function hasClosed() {
  try {
    await request(endpoint, "GET", "/api/session", {});
    return false;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.code === "session_ended" && error.detail.includes("(the room was closed)");
  }
}

// Before there is a connection, which would ask for a login.
const code = codeInPath(location.pathname.slice(PATH.length));
if (code !== null) {
  const room = await askToJoin({
    ...{ i18n, page, code, logIn, storage: sessionStorage },
    join: (body) => request(endpoint, "POST", "/api/join", { body }),
    wait: (milliseconds) => nap(milliseconds, new AbortController().signal),
  });
  // From here on the page is that of the room, also when it is loaded again.
  history.replaceState(null, "", `${PATH}/${roomLink(room)}`);
  page.replaceChildren(start);
}

let connection = watch(connect({ cookie: logIn }));

/** @param {Session} me @returns {Context} */
function contextOf(me) {
  return {
    i18n,
    me,
    connection,
    room: (number) => connection.room(number),
    drafts: new Drafts(surroundings.storage, me.user),
    reopen: () => show(me),
    async logOut() {
      await connection.call("DELETE", "/api/session");
      others.tell("out", me.user);
      connection.close();
      if (me.guest_of) return location.replace(`${PATH}/j/`);
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
  // Other refusals concern a room that the page has left, and end by themselves.
  if (connection.state.name === "refused" && FOR_GOOD.has(connection.state.reason)) {
    connection.close();
    connection = watch(connect({ cookie: logIn }));
  }
  const context = contextOf(me);
  const wanted = me.guest_of ? route(roomLink(me.guest_of)) : route(location.hash);
  const view =
    wanted.view === "room"
      ? roomView(context, wanted.room, { projected: wanted.projected, signal })
      : roomsView(context, signal);
  page.replaceChildren(view);
}

/** The page's user, as soon as there is one who may come in. @returns {Promise<Session>} */
async function enter() {
  const { signal } = leaving;
  const patience = { wait: surroundings.wait, nap, random: Math.random, signal };
  const told = (/** @type {Problem} */ problem) => (start.textContent = i18n.explain(problem));
  for (;;) {
    try {
      return await untilDone(() => connection.session(), patience, told);
    } catch (error) {
      if (!(error instanceof Problem && error.code === "kept_out")) throw error;
      // An admin may let the user in again before the time is over.
      told(error);
      await surroundings.wait(KEPT_OUT, signal);
    }
  }
}

me = await enter();
const user = me;
others.tell("in", user.user);
addEventListener("hashchange", () => isOver || show(user));
show(user);

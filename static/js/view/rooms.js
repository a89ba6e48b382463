import { ApiError } from "../api-error.js";
import { participants } from "../participants.js";
import { untilDone } from "../retry.js";
import { roomLink } from "../route.js";
import { nap } from "../wait.js";
import { element, field } from "./element.js";

/** @typedef {import("../api.js").Room} Room */
/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../i18n.js").I18n} I18n */

const MAY_CREATE = ["host", "admin"];
/** Milliseconds until the list is read again: others may have added the user to a room. */
const REFRESH = 15_000;

/**
 * The rooms of the user, and for hosts a form for a new one.
 *
 * @param {Context} context
 * @param {AbortSignal} signal ends it
 * @returns {HTMLElement}
 */
export function roomsView(context, signal) {
  const { api, i18n, me, patience } = context;
  document.title = i18n.say("rooms.title");
  const list = element("ul", { class: "rooms" });
  const note = element("p", { role: "status" }, i18n.say("loading"));
  const failed = (/** @type {ApiError} */ problem) => {
    note.textContent = i18n.explain(problem);
  };
  const leave = () => {
    location.hash = "";
    location.reload();
  };
  const follow = async () => {
    for (;;) {
      const rooms = await untilDone(() => api.rooms(), patience(signal), failed);
      note.textContent = rooms.length ? "" : i18n.say("rooms.none");
      show(rooms);
      await nap(REFRESH, signal);
    }
  };
  let shown = "";
  const show = (/** @type {Room[]} */ rooms) => {
    // Made anew only if something changed: the focus may be on an item.
    if (shown === JSON.stringify(rooms)) return;
    shown = JSON.stringify(rooms);
    list.replaceChildren(...rooms.map((room) => roomItem(room, i18n)));
  };
  context.run(follow(), signal, failed);
  const view = element(
    "div",
    { class: "page" },
    element(
      "header",
      { class: "bar" },
      element("h1", {}, i18n.say("rooms.title")),
      element("span", { class: "me" }, me.user),
      element(
        "button",
        { type: "button", click: () => void api.logOut().then(leave, failed) },
        i18n.say("logOut"),
      ),
    ),
    element("main", {}, note, list),
  );
  if (me.roles.some((role) => MAY_CREATE.includes(role))) {
    view.lastElementChild?.append(newRoomForm(context));
  }
  return view;
}

/** @param {Room} room @param {I18n} i18n */
function roomItem({ id, title, role, closed_at }, i18n) {
  const marks = [];
  if (role) marks.push(i18n.say(`role.${role}`));
  if (closed_at) marks.push(i18n.say("closed"));
  return element(
    "li",
    {},
    element(
      "a",
      { href: roomLink(id) },
      element("span", { class: "title" }, title),
      ...marks.map((mark) => element("span", { class: "mark" }, mark)),
    ),
  );
}

/** @param {Context} context */
function newRoomForm({ api, i18n }) {
  const title = element("input", { required: true, maxlength: "200" });
  const names = element("textarea", { rows: "3", autocapitalize: "none", spellcheck: "false" });
  const problem = element("p", { role: "alert", class: "problem" });
  const button = element("button", { class: "primary" }, i18n.say("rooms.submit"));
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    problem.textContent = "";
    button.disabled = true;
    try {
      const room = await api.createRoom(title.value, participants(names.value));
      location.hash = roomLink(room.id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.textContent = i18n.explain(error);
    } finally {
      button.disabled = false;
    }
  };
  return element(
    "form",
    { submit, class: "card" },
    element("h2", {}, i18n.say("rooms.create")),
    field(i18n.say("rooms.name"), title),
    field(i18n.say("rooms.participants"), names, i18n.say("rooms.participantsHint")),
    problem,
    button,
  );
}

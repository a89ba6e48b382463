import { roomLink } from "../route.js";
import { element, icon, iconButton } from "../../shared/element.js";
import { newRoomDialog } from "./new-room.js";
import { sessionsDialog } from "./sessions.js";
import { who } from "./who.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../../interact/types.js").RoomInfo} RoomInfo */
/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../../interact/index.js").Problem} Problem */

const MAY_CREATE = ["host", "admin"];
/** Milliseconds until the list is read again: others may have added the user to a room. */
const REFRESH = 15_000;

/**
 * The list of the user's rooms; hosts may create a new one.
 *
 * @param {Context} context
 * @param {AbortSignal} signal ends it
 * @returns {HTMLElement}
 */
export function roomsView(context, signal) {
  const { i18n, me } = context;
  document.title = i18n.say("rooms.title");
  const list = element("ul", { class: "rooms" });
  const note = element("p", { role: "status", class: "soft" }, i18n.say("loading"));
  const mayCreate = me.roles.some((role) => MAY_CREATE.includes(role));
  const hint = mayCreate ? "rooms.noneHost" : "rooms.noneHint";
  const nothing = element(
    "div",
    { class: "nothing", hidden: true },
    element("p", {}, i18n.say("rooms.none")),
    element("p", { class: "soft" }, i18n.say(hint, { user: me.user })),
  );
  const failed = (/** @type {Problem} */ problem) => {
    note.textContent = i18n.explain(problem);
  };
  let shown = "";
  const show = (/** @type {RoomInfo[]} */ rooms) => {
    note.textContent = "";
    nothing.hidden = rooms.length > 0;
    // Rebuilt only if something changed, because the focus may be on an item.
    if (shown === JSON.stringify(rooms)) return;
    shown = JSON.stringify(rooms);
    // Open rooms first, the newest on top.
    const order = [...rooms].sort(
      (a, b) => Number(a.closed_at !== null) - Number(b.closed_at !== null) || b.id - a.id,
    );
    list.replaceChildren(...order.map((room) => roomItem(room, i18n)));
  };
  const follow = async () => {
    for (;;) {
      const { rooms } = await context.untilDone(
        () => context.connection.call("GET", "/api/rooms"),
        signal,
        failed,
      );
      show(rooms);
      await context.nap(REFRESH, signal);
    }
  };
  context.run(follow(), signal, failed);

  const sessions = sessionsDialog(context);
  const where = element(
    "button",
    { type: "button", class: "quiet", click: sessions.open },
    i18n.say("sessions.title"),
  );
  const main = element("main", {}, note, list, nothing, where);
  const bar = element(
    "header",
    { class: "bar" },
    element(
      "div",
      { class: "names" },
      element("h1", {}, i18n.say("rooms.title")),
      element("p", { class: "soft" }, ...who(me.user, me.name)),
    ),
  );
  const page = element("div", { class: "list" }, bar, main, sessions.dialog);
  if (mayCreate) {
    const create = newRoomDialog(context);
    bar.append(
      element(
        "button",
        { type: "button", class: "primary", click: create.open },
        icon("plus"),
        i18n.say("rooms.create"),
      ),
    );
    page.append(create.dialog);
  }
  const leave = () => void context.logOut().catch(failed);
  bar.append(iconButton("sign-out", i18n.say("logOut"), { click: leave }));
  return page;
}

/** @param {RoomInfo} room @param {I18n} i18n */
function roomItem({ id, title, role, closed_at }, i18n) {
  const marks = [];
  if (closed_at) marks.push(element("span", { class: "mark" }, i18n.say("closed")));
  if (role === "host") marks.push(element("span", { class: "mark of-host" }, i18n.say("role.host")));
  return element(
    "li",
    { class: closed_at ? "closed" : "" },
    element(
      "a",
      { href: roomLink(id) },
      icon("chat-circle-text"),
      element("span", { class: "name" }, element("bdi", {}, title)),
      ...marks,
    ),
  );
}

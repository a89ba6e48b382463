import { Problem } from "../../interact/index.js";
import { commitsOnly } from "../../shared/commit.js";
import { element, field, icon, iconButton } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";
import { addable, hasDoubtful, needsLook } from "../roster.js";
import { pressedTwice } from "./class-code.js";
import { keyed } from "./keyed.js";
import { rosterFile, rosterItems } from "./roster.js";
import { who } from "./who.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../../interact/types.js").Role} Role */
/** @typedef {import("../roster.js").Entry} Entry */
/**
 * `name`: what is shown beside the user's; `unknown`: nobody can log in under this user's name.
 * @typedef {{user: string, role: Role, name?: string, unknown?: true}} Member
 */

const ROLES = /** @type {Role[]} */ (["participant", "host"]);

/**
 * A dialog in which a host adds and removes the members of a room.
 *
 * @param {Context} context
 * @param {number} room
 */
export function membersDialog({ connection, i18n }, room) {
  const path = `/api/rooms/${room}/members`;
  const pathOf = (/** @type {string} */ user) => `${path}/${encodeURIComponent(user)}`;
  const list = element("ul");
  const problem = element("p", { role: "alert", class: "problem" });
  const user = element("textarea", {
    rows: "2",
    required: true,
    dir: "auto",
    autocapitalize: "none",
    autocomplete: "off",
    spellcheck: "false",
  });
  const role = element(
    "select",
    {},
    ...ROLES.map((name) => element("option", { value: name }, i18n.say(`role.${name}`))),
  );
  const item = (/** @type {Member} */ member) =>
    element(
      "li",
      {},
      element("span", { class: "grow" }, ...who(member.user, member.name)),
      ...(member.unknown ? [element("span", { class: "mark" }, i18n.say("members.unknown"))] : []),
      element(
        "span",
        { class: member.role === "host" ? "mark of-host" : "mark" },
        i18n.say(`role.${member.role}`),
      ),
      removal(i18n, member, () => void change(() => connection.call("DELETE", pathOf(member.user)))),
    );
  // Whoever removes one of them stays in the list.
  const show = keyed(list, { key: (member) => JSON.stringify(member), make: item });
  const change = async (/** @type {() => Promise<unknown>} */ call) => {
    problem.textContent = "";
    try {
      await call();
      const { members } = await connection.call("GET", path);
      show(members);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    }
  };
  /** The list as the gateway has checked it, until it is added or changed. @type {Entry[]} */
  let checked = [];
  const lines = element("ul");
  const doubtful = element("input", { type: "checkbox", change: () => preview(checked) });
  const alsoDoubtful = element(
    "label",
    { class: "row" },
    doubtful,
    element("span", {}, i18n.say("roster.alsoUnknown")),
  );
  const confirm = element("button", { type: "button", class: "primary", click: () => send(true) });
  const look = element("section", { "aria-label": i18n.say("roster.title"), hidden: true });
  look.append(lines, alsoDoubtful, confirm);
  const preview = (/** @type {Entry[]} */ entries) => {
    checked = entries;
    look.hidden = entries.length === 0;
    lines.replaceChildren(...rosterItems(i18n, entries));
    alsoDoubtful.hidden = !hasDoubtful(entries);
    const count = addable(entries, doubtful.checked).length;
    confirm.textContent = i18n.say("roster.add", { count });
    switchOff(confirm, count === 0);
  };
  const send = (/** @type {boolean} */ add) =>
    change(async () => {
      const wanted = { text: user.value, role: role.value, add, unknown: doubtful.checked };
      const { entries } = await connection.call("POST", `/api/rooms/${room}/roster`, wanted);
      if (add) {
        preview([]);
        user.value = "";
        doubtful.checked = false;
        return;
      }
      preview(entries);
      // A single name that is right needs no second look.
      if (entries.length === 1 && !needsLook(entries)) await send(true);
    });
  const check = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    await send(false);
    user.focus();
  };
  const heading = element("h2", { id: "members-title" }, i18n.say("members.title"));
  const close = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card members", "aria-labelledby": heading.id },
    element("header", {}, heading, close),
    element(
      "form",
      { submit: check, input: () => preview([]), keydown: commitsOnly },
      field(i18n.say("members.user"), user, i18n.say("roster.hint")),
      rosterFile(i18n, user),
      field(i18n.say("members.role"), role),
      element("button", { class: "primary" }, icon("plus"), i18n.say("members.add")),
    ),
    problem,
    look,
    list,
  );
  return {
    dialog,
    open() {
      dialog.showModal();
      void change(async () => {});
    },
  };
}

/**
 * The removal of a member: a press of the picture asks, and a press of the words does it.
 *
 * @param {import("../../shared/i18n.js").I18n} i18n
 * @param {Member} member
 * @param {() => void} act
 */
function removal(i18n, { user, name }, act) {
  const ask = () => {
    const sure = pressedTwice(i18n, i18n.say("members.removeWho", { user: name ?? user }), act, {
      asked: true,
      calm: () => sure.replaceWith(trash),
    });
    trash.replaceWith(sure);
    sure.focus();
  };
  const trash = iconButton("trash", i18n.say("members.removeWho", { user }), { click: ask });
  return trash;
}

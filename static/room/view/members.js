import { Problem } from "../../interact/index.js";
import { commitsOnly } from "../../shared/commit.js";
import { element, field, icon, iconButton } from "../../shared/element.js";
import { who } from "./who.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../../interact/types.js").Role} Role */
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
  const user = element("input", {
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
      iconButton("trash", i18n.say("members.removeWho", { user: member.user }), {
        click: () => change(() => connection.call("DELETE", pathOf(member.user))),
      }),
    );
  const change = async (/** @type {() => Promise<unknown>} */ call) => {
    problem.textContent = "";
    try {
      await call();
      const { members } = await connection.call("GET", path);
      list.replaceChildren(...members.map(item));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    }
  };
  const add = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const name = user.value.trim();
    await change(() => connection.call("PUT", pathOf(name), { role: role.value }));
    if (!problem.textContent) user.value = "";
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
      { submit: add, keydown: commitsOnly },
      field(i18n.say("members.user"), user),
      field(i18n.say("members.role"), role),
      element("button", { class: "primary" }, icon("plus"), i18n.say("members.add")),
    ),
    problem,
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

import { ApiError } from "../api-error.js";
import { element, field } from "./element.js";

/** @typedef {import("../api.js").Member} Member */
/** @typedef {import("../api.js").Role} Role */
/** @typedef {import("../main.js").Context} Context */

const ROLES = /** @type {Role[]} */ (["participant", "host"]);

/**
 * A dialog in which a host adds and removes the members of a room.
 *
 * @param {Context} context
 * @param {number} room
 */
export function membersDialog({ api, i18n }, room) {
  const list = element("ul", { class: "members" });
  const problem = element("p", { role: "alert", class: "problem" });
  const user = element("input", { required: true, autocapitalize: "none", spellcheck: "false" });
  const role = element(
    "select",
    {},
    ...ROLES.map((name) => element("option", { value: name }, i18n.say(`role.${name}`))),
  );
  const item = (/** @type {Member} */ member) =>
    element(
      "li",
      {},
      element("span", { class: "title" }, member.user),
      element("span", { class: "mark" }, i18n.say(`role.${member.role}`)),
      element(
        "button",
        {
          type: "button",
          "aria-label": i18n.say("members.removeWho", { user: member.user }),
          click: () => change(() => api.removeMember(room, member.user)),
        },
        i18n.say("members.remove"),
      ),
    );
  const change = async (/** @type {() => Promise<unknown>} */ call) => {
    problem.textContent = "";
    try {
      await call();
      list.replaceChildren(...(await api.members(room)).map(item));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.textContent = i18n.explain(error);
    }
  };
  const add = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const member = { user: user.value.trim(), role: /** @type {Role} */ (role.value) };
    await change(() => api.setMember(room, member));
    if (!problem.textContent) user.value = "";
    user.focus();
  };
  const heading = element("h2", { id: "members-title" }, i18n.say("members.title"));
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": heading.id },
    element(
      "header",
      {},
      heading,
      element("button", { type: "button", click: () => dialog.close() }, i18n.say("close")),
    ),
    list,
    element(
      "form",
      { submit: add },
      field(i18n.say("members.user"), user),
      field(i18n.say("members.role"), role),
      problem,
      element("button", { class: "primary" }, i18n.say("members.add")),
    ),
  );
  return {
    dialog,
    open() {
      dialog.showModal();
      void change(async () => {});
    },
  };
}

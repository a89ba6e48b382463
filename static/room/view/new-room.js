import { Problem } from "../../interact/index.js";
import { addable, needsLook } from "../roster.js";
import { roomLink } from "../route.js";
import { commitsOnly } from "../../shared/commit.js";
import { element, field, iconButton } from "../../shared/element.js";
import { rosterFile, rosterItems } from "./roster.js";
import { limited } from "../../shared/limit.js";
import { switchOff } from "../../shared/off.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../roster.js").Entry} Entry */

/** Characters, as the gateway takes them. */
const LONGEST_TITLE = 200;

/** A dialog in which a host makes a room. @param {Context} context */
export function newRoomDialog({ connection, i18n, drafts }) {
  const draft = drafts.of("new-room");
  const title = element("input", { required: true, dir: "auto", autocomplete: "off" });
  const length = limited(i18n, title, LONGEST_TITLE);
  const names = element("textarea", { rows: "4", dir: "auto", autocapitalize: "none", spellcheck: "false" });
  const problem = element("p", { role: "alert", class: "problem" });
  const button = element("button", { class: "primary" }, i18n.say("rooms.submit"));
  const preview = element("ul");
  let looked = "";
  /** @param {readonly Entry[]} entries */
  const show = (entries) => {
    looked = names.value;
    preview.replaceChildren(...rosterItems(i18n, entries));
    button.textContent = i18n.say("roster.create", { count: addable(entries, true).length });
  };
  const keep = () => {
    const [named, others] = [title.value, names.value];
    draft.keep(named.trim() || others.trim() ? { title: named, names: others } : null);
  };
  const kept = draft.read();
  if (typeof kept?.title === "string") title.value = kept.title;
  length.check();
  if (typeof kept?.names === "string") names.value = kept.names;
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    problem.textContent = "";
    switchOff(button, true);
    try {
      const { entries } = names.value.trim()
        ? await connection.call("POST", "/api/roster", { text: names.value })
        : { entries: [] };
      // What was looked at is done at the second press.
      if (needsLook(entries) && looked !== names.value) return show(entries);
      const members = addable(entries, true).map(({ user, role }) => ({ user, role }));
      const wanted = { title: title.value.trim(), members };
      const room = await connection.call("POST", "/api/rooms", wanted);
      draft.keep(null);
      location.hash = roomLink(room.id);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    } finally {
      switchOff(button, false);
    }
  };
  const heading = element("h2", { id: "new-room-title" }, i18n.say("rooms.create"));
  const close = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": heading.id },
    element("header", {}, heading, close),
    element(
      "form",
      { submit, input: keep, keydown: commitsOnly },
      field(i18n.say("rooms.name"), title, length.counter),
      field(i18n.say("rooms.participants"), names, i18n.say("roster.hint")),
      rosterFile(i18n, names),
      preview,
      problem,
      button,
    ),
  );
  return { dialog, open: () => dialog.showModal() };
}

import { Problem } from "../../interact/index.js";
import { roomLink } from "../route.js";
import { element, field, iconButton } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";
import { switchOff } from "../../shared/off.js";

/** Characters of a room's title. */
const LONGEST_TITLE = 200;

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../../interact/types.js").RoomInfo} RoomInfo */

/**
 * What a host does with a room after a lesson: give it another title, close it, having read what that means, open it
 * again, or make a new one with the same people. The pages of a room that is closed notice by themselves.
 *
 * @param {Context} context
 * @param {RoomInfo} info
 * @param {(title: string) => void} renamed is called with the new title
 * @returns {{root: HTMLElement, dialog: HTMLDialogElement}} the dialog asks before the room is closed
 */
export function afterLesson({ connection, i18n, reopen: showAnew }, info, renamed) {
  const path = `/api/rooms/${info.id}`;
  const problems = [0, 1].map(() => element("p", { role: "alert", class: "problem" }));
  const done = element("p", { role: "status", class: "soft" });
  /** @param {HTMLElement} problem @param {() => Promise<void>} task */
  const act = async (problem, task) => {
    for (const button of all) switchOff(button, true);
    problem.textContent = done.textContent = "";
    try {
      await task();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    } finally {
      for (const button of all) switchOff(button, false);
    }
  };
  const copyRoom = () =>
    act(problems[0], async () => {
      const made = await connection.call("POST", `${path}/copy`, {});
      location.hash = roomLink(made.id);
    });
  const closeRoom = () =>
    act(problems[1], async () => {
      await connection.call("DELETE", path);
      dialog.close();
    });
  const openAgain = () =>
    act(problems[0], async () => {
      await connection.call("POST", `${path}/open`);
      showAnew();
    });
  const rename = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    return act(problems[0], async () => {
      const room = await connection.call("PATCH", path, { title: title.value.trim() });
      renamed(room.title);
      done.textContent = i18n.say("after.renamed");
    });
  };
  const button = (/** @type {string} */ key, /** @type {() => void} */ click) =>
    element("button", { type: "button", click }, i18n.say(key));
  const copy = button("after.copy", copyRoom);
  const close = button("after.close", () => dialog.showModal());
  const sure = button("after.closeSure", closeRoom);
  sure.classList.add("primary");
  close.hidden = info.closed_at !== null;
  const open = button("after.open", openAgain);
  open.hidden = info.closed_at === null;
  const title = element("input", { dir: "auto", required: true, value: info.title, autocomplete: "off" });
  const length = limited(i18n, title, LONGEST_TITLE);
  const save = element("button", { type: "submit" }, i18n.say("after.rename"));
  const naming = element(
    "form",
    { class: "group", submit: rename },
    field(i18n.say("rooms.name"), title, length.counter),
    save,
  );
  const all = [copy, close, sure, open, save];
  const heading = element("h2", { id: "close-title" }, i18n.say("after.closeAsk"));
  const cancel = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": heading.id },
    element("header", {}, heading, cancel),
    element("p", {}, i18n.say("after.closeHint")),
    problems[1],
    sure,
  );
  const root = element("div", { class: "group" }, problems[0], naming, done, copy, open, close);
  return { root, dialog };
}

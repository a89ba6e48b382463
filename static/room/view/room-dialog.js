import { element, iconButton } from "../../shared/element.js";
import { afterLesson } from "./after-lesson.js";
import { remains } from "./remains.js";

/**
 * A dialog with everything that a host does with the room itself: its title, another one like it, its end, and what
 * remains of it.
 *
 * @param {import("../main.js").Context} context
 * @param {import("../../interact/types.js").RoomInfo} info
 * @param {(title: string) => void} renamed is called with the new title
 * @returns {{dialogs: HTMLDialogElement[], open: () => void}}
 */
export function roomDialog(context, info, renamed) {
  const { i18n } = context;
  const after = afterLesson(context, info, renamed);
  const heading = element("h2", { id: "room-dialog-title" }, i18n.say("room.manage"));
  const close = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": heading.id },
    element("header", {}, heading, close),
    after.root,
    remains(i18n, info.id),
  );
  return { dialogs: [dialog, after.dialog], open: () => dialog.showModal() };
}

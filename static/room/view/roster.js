import { element } from "../../shared/element.js";
import { LARGEST_LIST, textOf } from "../../shared/file-text.js";
import { who } from "./who.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../roster.js").Entry} Entry */

/** What adding each line of a list would do. @param {I18n} i18n @param {readonly Entry[]} entries */
export function rosterItems(i18n, entries) {
  return entries.map(({ written, user, name, state, why }) =>
    element(
      "li",
      {},
      element("span", { class: "grow" }, ...(user ? who(user, name) : [element("bdi", {}, written || "…")])),
      element("span", { class: state === "new" ? "mark of-host" : "mark" }, i18n.say(`roster.${state}`)),
      ...(why ? [element("small", { class: "soft", dir: "auto" }, why)] : []),
    ),
  );
}

/** A choice of a file whose text goes into a field. @param {I18n} i18n @param {HTMLTextAreaElement} into */
export function rosterFile(i18n, into) {
  const input = element("input", { type: "file", dir: "auto", accept: ".csv,.tsv,.txt,text/csv,text/plain" });
  input.addEventListener("change", async () => {
    const [file] = input.files ?? [];
    if (!file || file.size > LARGEST_LIST) return;
    into.value = textOf(await file.arrayBuffer());
    into.dispatchEvent(new Event("input", { bubbles: true }));
    input.value = "";
  });
  return element("label", { class: "field" }, element("span", {}, i18n.say("roster.file")), input);
}

import { element, field, icon, iconButton } from "../../shared/element.js";
import { qrCode } from "./qr.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/** A dialog that shows how to enter a room. @param {I18n} i18n @param {string} address */
export function shareDialog(i18n, address) {
  const link = element("input", { readonly: true, focus: () => link.select() });
  link.value = address;
  const copied = element("span", { role: "status" });
  const copy = async () => {
    link.select();
    // Pages served by plain HTTP have no clipboard; the link is selected then.
    await navigator.clipboard?.writeText(address);
    if (navigator.clipboard) copied.textContent = i18n.say("share.copied");
  };
  const heading = element("h2", { id: "share-title" }, i18n.say("share.title"));
  const close = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card share", "aria-labelledby": heading.id },
    element("header", {}, heading, close),
    element("p", { class: "soft" }, i18n.say("share.hint")),
    qrCode(address, i18n.say("share.code")),
    field(i18n.say("share.link"), link),
    element(
      "div",
      { class: "row" },
      element("button", { type: "button", click: copy }, icon("copy"), i18n.say("share.copy")),
      copied,
    ),
  );
  return {
    dialog,
    open() {
      copied.textContent = "";
      dialog.showModal();
    },
  };
}

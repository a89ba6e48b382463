import { element, field, icon, iconButton } from "../../shared/element.js";
import { codePanel } from "./class-code.js";
import { qrCode } from "../../shared/qr.js";

/**
 * A dialog that shows how to enter a room: by its class code, or for members by its address.
 *
 * @param {import("../main.js").Context} context
 * @param {string} address
 * @param {ReturnType<typeof import("./class-code.js").classCode>} code
 */
export function shareDialog(context, address, code) {
  const { i18n } = context;
  const link = element("input", { readonly: true, focus: () => link.select() });
  const picture = element("div");
  const hint = element("p", { class: "soft" });
  const copied = element("span", { role: "status" });
  const copy = async () => {
    link.select();
    // Pages served by plain HTTP have no clipboard; the link is selected then.
    await navigator.clipboard?.writeText(link.value);
    if (navigator.clipboard) copied.textContent = i18n.say("share.copied");
  };
  const heading = element("h2", { id: "share-title" }, i18n.say("share.title"));
  const close = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card share", "aria-labelledby": heading.id },
    element("header", {}, heading, close),
    hint,
    picture,
    ...(code.isClosed ? [] : [codePanel(context, code)]),
    field(i18n.say("share.link"), link),
    element(
      "div",
      { class: "row" },
      element("button", { type: "button", click: copy }, icon("copy"), i18n.say("share.copy")),
      copied,
    ),
  );
  code.listen(() => {
    const shown = code.address ?? address;
    link.value = shown;
    hint.textContent = i18n.say(code.address ? "share.hintCode" : "share.hint");
    picture.replaceChildren(qrCode(shown, i18n.say("share.code")));
  });
  return {
    dialog,
    open() {
      copied.textContent = "";
      dialog.showModal();
    },
  };
}

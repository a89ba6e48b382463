import { readable } from "../message.js";
import { element } from "./element.js";

/** @typedef {import("../api.js").Message} Message */
/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../outgoing.js").Letter} Letter */

/** @param {Message} message @param {{i18n: I18n, own: boolean}} parts */
export function messageItem({ sender, sent_at, body }, { i18n, own }) {
  const moment = new Date(sent_at);
  return element(
    "li",
    { class: own ? "message own" : "message" },
    element(
      "p",
      { class: "by" },
      element("strong", {}, sender),
      " ",
      element("time", { datetime: sent_at }, i18n.time(moment, new Date())),
    ),
    element("p", { class: "text" }, readable(body)),
  );
}

/**
 * @param {Letter} letter
 * @param {{i18n: I18n, edit: () => void, drop: () => void}} parts
 */
export function letterItem({ body, state, problem }, { i18n, edit, drop }) {
  const why = problem ? i18n.explain(problem) : "";
  const note = i18n.say(`letter.${state}`, { why });
  const item = element(
    "li",
    { class: `message own letter ${state}` },
    element("p", { class: "text" }, body),
    element("p", { class: "by", role: state === "refused" ? "alert" : "status" }, note),
  );
  if (state === "refused") {
    item.append(
      element("button", { type: "button", click: edit }, i18n.say("letter.edit")),
      element("button", { type: "button", click: drop }, i18n.say("letter.drop")),
    );
  }
  return item;
}

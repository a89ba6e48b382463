import { isSpoken, wordsOf } from "../pending-posts.js";
import { kindOf } from "../polls.js";
import { solution } from "./solution.js";
import { element, icon } from "../../shared/element.js";
import { who, whoInText } from "./who.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../../interact/types.js").PendingPost} PendingPost */
/** @typedef {import("../state.js").Entry} Entry */
/** @typedef {import("../state.js").Question} Question */
/** @typedef {import("../select.js").Waits} Waits */
/** @typedef {((Entry & {chosen?: any}) | Waits | (Question & {kind: "question"})) & {isHidden?: boolean}} Shown */

/** What hosts may hide: what people have said. */
const HIDEABLE = new Set(["text", "answer"]);

/**
 * An entry of the conversation as elements.
 *
 * @param {I18n} i18n
 * @param {string | null} me who is called "You"; nobody where all look
 * @param {((entry: Shown) => void) | null} hide hides an entry from all but hosts, or shows it again
 */
export function entryItems(i18n, me, hide = null) {
  const by = (/** @type {Shown} */ { kind, sender, sentAt, name }) => {
    const line = element(
      "p",
      { class: "by" },
      element("strong", {}, ...(sender === me ? [i18n.say("talk.me")] : who(sender, name))),
    );
    if (kind === "question") line.append(icon("lock-simple"), i18n.say("talk.private"));
    if (kind === "answer") line.append(i18n.say("talk.answer"));
    line.append(element("time", { datetime: sentAt }, i18n.time(new Date(sentAt), new Date())));
    return line;
  };

  const text = (/** @type {string} */ text) =>
    element("p", { class: "text", dir: "auto" }, ...withLinks(text));
  const quote = (/** @type {string} */ text) =>
    element("blockquote", { dir: "auto" }, ...withLinks(text));

  const fate = (/** @type {string} */ name, /** @type {string} */ words) =>
    element("p", { class: "by fate", role: "status" }, icon(name), i18n.say(words));
  /** @param {Shown} entry */
  const hiding = (entry) => {
    const { isHidden = false, sender, name } = entry;
    const key = isHidden ? "hide.show" : "hide.hide";
    const label = i18n.say(`${key}Who`, { user: whoInText(sender, name) });
    const click = () => hide?.(entry);
    const button = element("button", { type: "button", class: "hide", "aria-label": label, click }, i18n.say(key));
    return isHidden ? [fate("lock-simple", "hide.isHidden"), button] : [button];
  };

  /** @type {Record<string, (entry: any) => (Node | string)[]>} */
  const CONTENT = {
    text: (entry) => [by(entry), text(entry.text)],
    question: (entry) => [by(entry), text(entry.text)],
    waits: (entry) => [
      by(entry),
      text(entry.text),
      entry.isRefused ? fate("warning-circle", "approve.isRefused") : fate("clock", "approve.isWaiting"),
    ],
    answer: (entry) => [by(entry), quote(entry.quote), text(entry.text)],
    poll: ({ question }) => [
      icon("chart-bar-horizontal"),
      " ",
      i18n.say("talk.pollBegan", { question }),
    ],
    result: ({ result, chosen }) => {
      const chart = kindOf(result).chart(i18n, result.ask);
      chart.update(result, { mine: chosen, right: result.right });
      const reason = solution(i18n);
      reason.update(result.explanation);
      return [
        element("p", { class: "by" }, i18n.say("talk.result")),
        element("h2", { dir: "auto" }, ...withLinks(result.question)),
        ...[chart.root, reason.root],
      ];
    },
  };

  return {
    /** @param {Shown} entry */
    entry(entry) {
      const { kind, sender } = entry;
      const classes = ["entry", kind === "text" ? "said" : kind];
      if (kind === "question") classes.push("private");
      if (entry.isHidden) classes.push("hidden-from-others");
      if (sender === me && kind !== "poll" && kind !== "result") classes.push("own");
      const acts = hide && HIDEABLE.has(kind) ? hiding(entry) : [];
      return element("li", { class: classes.join(" ") }, ...CONTENT[kind](entry), ...acts);
    },

    /**
     * @param {PendingPost} post
     * @param {{edit: ((post: PendingPost) => void) | null, forget: () => void}} acts
     */
    pendingPost(post, { edit, forget }) {
      const { audience, type, state, problem, body } = post;
      const words = wordsOf(post);
      const act = i18n.words[`post.is.${type}`];
      const isRefused = state === "refused";
      const fate = isRefused
        ? i18n.say("post.refused", { why: problem ? i18n.explain(problem) : "" })
        : i18n.say("post.sending");
      const by = element("p", { class: "by" }, element("strong", {}, i18n.say("talk.me")));
      if (audience === "private" && type === "question") {
        by.append(icon("lock-simple"), i18n.say("talk.private"));
      }
      if (act) by.append(act);
      const item = element(
        "li",
        {
          class: audience === "private" ? "entry own unsent private" : "entry own unsent",
          "data-state": isRefused ? "refused" : "sending",
        },
        by,
        ...(typeof body?.quote === "string" && body.quote ? [quote(body.quote)] : []),
        ...(words ? [text(words)] : []),
        element(
          "p",
          { class: "by fate", role: isRefused ? "alert" : "status" },
          icon(isRefused ? "warning-circle" : "clock"),
          fate,
        ),
      );
      if (isRefused) {
        const change = () => {
          forget();
          edit?.(post);
        };
        const button = (/** @type {string} */ key, /** @type {() => void} */ click) =>
          element("button", { type: "button", click }, i18n.say(key));
        const row = element("div", { class: "row" }, button("post.drop", forget));
        if (edit && isSpoken(post)) row.append(button("post.edit", change));
        item.append(row);
      }
      return item;
    },
  };
}

import { LONGEST_TEXT } from "../bodies.js";
import { wordsOf } from "../pending-posts.js";
import { actButton } from "./act-button.js";
import { claps } from "./claps.js";
import { composer } from "./composer.js";
import { leftDraft } from "./left-draft.js";
import { element, iconButton } from "../../shared/element.js";
import { Order } from "../order.js";
import { approvalQueue } from "./approval-queue.js";
import { orderDesk } from "./order-desk.js";
import { people } from "./people.js";
import { pollDesk } from "./poll-desk.js";
import { questionList } from "./questions.js";
import { tabs } from "./tabs.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../drafts.js").Draft} Draft */
/** @typedef {import("../state.js").Question} Question */
/** @typedef {{id: string, text: string}} Asked the question that is answered */

/**
 * A host's desk: conversation, poll, questions, people.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {{talk: Draft, poll: Draft}} drafts
 */
export function hostView(i18n, classroom, drafts) {
  const keeping = new Order(classroom, () => order.update());
  const timeline = new Timeline(i18n, classroom, {
    hide: classroom.isReadOnly ? null : ({ seq, isHidden }) => keeping.hide(seq, !isHidden),
  });
  const queue = approvalQueue(i18n, classroom.approvals);
  const applause = claps();
  classroom.addEventListener("clap", () => applause.show());

  /** @type {Asked | null} */
  let answering = null;
  const field = composer({
    i18n,
    draft: drafts.talk,
    to: () => answering && { id: answering.id, text: answering.text },
    choose: (question) => show(readQuestion(question)),
    send: (text, unkept) => {
      if (answering) classroom.answer(answering, text, unkept);
      else classroom.say(text, unkept);
      show(null);
    },
  });
  if (!classroom.isReadOnly) {
    timeline.edit = (post) => {
      const { question: id, quote } = post.body ?? {};
      show(post.type === "answer" ? readQuestion({ id, text: quote }) : null);
      field.edit(wordsOf(post));
    };
  }
  const quoted = element("blockquote", { dir: "auto" });
  const quote = element(
    "div",
    { class: "quote", hidden: true },
    element("div", { class: "grow" }, i18n.say("talk.answering"), quoted),
    iconButton("x", i18n.say("talk.dropQuote"), { click: () => show(null) }),
  );
  const show = (/** @type {Asked | null} */ question) => {
    answering = question;
    quote.hidden = question === null;
    quoted.textContent = question?.text ?? "";
    field.label(i18n.say(question ? "talk.writeAnswer" : "talk.writeToAll"));
    field.keep();
  };
  const answer = (/** @type {Question} */ question) => {
    show(question);
    parts.choose("talk");
    field.focus();
  };
  const clap = actButton("hands-clapping", i18n.say("clap"), { click: () => classroom.clap() });
  field.form.prepend(clap);
  const writing = element("div", { class: "writing" }, timeline.newest, quote, field.notes, field.form);

  const desk = pollDesk(i18n, classroom, drafts.poll);
  const questions = questionList(i18n, classroom, answer);
  const persons = people(i18n, classroom);
  const order = orderDesk(i18n, classroom, keeping);
  if (!classroom.isReadOnly) persons.root.append(order.root);
  const panel = (
    /** @type {string} */ name,
    /** @type {string} */ icon,
    /** @type {HTMLElement} */ content,
    /** @type {import("./tabs.js").Panel["counted"]} */ counted = undefined,
  ) => {
    const title = i18n.say(`${name}.title`);
    const section = element(
      "section",
      { class: `panel ${name}-panel`, "aria-label": title },
      element("h2", {}, title),
      content,
    );
    return { name, title, icon, section, counted };
  };
  const body = (/** @type {HTMLElement} */ content) =>
    element("div", { class: "body", tabindex: "0" }, content);
  const talk = element(
    "div",
    { class: "talk" },
    queue.root,
    timeline.scroller,
    ...(classroom.isReadOnly ? leftDraft(i18n, drafts.talk) : [writing]),
  );
  const panels = [
    panel("talk", "chat-circle-text", talk, {
      words: (count) => i18n.say("approve.waiting", { count }),
    }),
    panel("poll", "chart-bar-horizontal", body(desk.root)),
    panel("questions", "question", body(questions.root), {
      words: (count) => i18n.say("questions.count", { count }),
    }),
    panel("people", "users", body(persons.root), {
      icon: "hand-palm",
      words: (count) => i18n.say("people.handCount", { count }),
    }),
  ];
  const parts = tabs(i18n.say("room.parts"), panels);
  field.label(i18n.say("talk.writeToAll"));
  if (!classroom.isReadOnly) field.restore();

  return {
    nav: parts.nav,
    main: element("main", { class: "host" }, ...panels.map((one) => one.section), applause.root),
    update() {
      queue.update();
      timeline.update(classroom.conversation);
      parts.count("talk", classroom.approvals.waiting.length);
      desk.update();
      parts.count("questions", questions.update());
      parts.count("people", persons.update());
      order.update();
    },
  };
}

/** The question of a draft. @param {any} kept @returns {Asked | null} */
function readQuestion(kept) {
  const { id, text } = kept ?? {};
  const isSound = typeof id === "string" && typeof text === "string" && text.length <= LONGEST_TEXT;
  return isSound ? { id, text } : null;
}

import { claps } from "./claps.js";
import { composer } from "./composer.js";
import { element, iconButton } from "./element.js";
import { people } from "./people.js";
import { pollDesk } from "./poll-desk.js";
import { questionList } from "./questions.js";
import { tabs } from "./tabs.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../room/classroom.js").Classroom} Classroom */
/** @typedef {import("../room/state.js").Question} Question */

/** A host's desk: conversation, poll, questions, people. @param {I18n} i18n @param {Classroom} classroom */
export function hostView(i18n, classroom) {
  const timeline = new Timeline(i18n, classroom);
  const applause = claps();
  classroom.addEventListener("clap", () => applause.show());

  /** @type {Question | null} */
  let answering = null;
  const field = composer({
    button: i18n.say("send"),
    send: (text) => {
      if (answering) classroom.answer(answering, text);
      else classroom.say(text);
      answer(null);
    },
  });
  timeline.edit = field.edit;
  const quoted = element("blockquote");
  const quote = element(
    "div",
    { class: "quote", hidden: true },
    element("div", { class: "grow" }, i18n.say("talk.answering"), quoted),
    iconButton("x", i18n.say("talk.dropQuote"), { click: () => answer(null) }),
  );
  const answer = (/** @type {Question | null} */ question) => {
    answering = question;
    quote.hidden = question === null;
    quoted.textContent = question?.text ?? "";
    field.label(i18n.say(question ? "talk.writeAnswer" : "talk.writeToAll"));
    if (question) {
      parts.choose("talk");
      field.focus();
    }
  };
  const clap = iconButton("hands-clapping", i18n.say("clap"), {
    class: "square act",
    click: () => classroom.clap(),
  });
  field.form.prepend(clap);
  const writing = element("div", { class: "writing" }, timeline.newest, quote, field.form);

  const desk = pollDesk(i18n, classroom);
  const questions = questionList(i18n, classroom, answer);
  const persons = people(i18n, classroom);
  const panel = (
    /** @type {string} */ name,
    /** @type {string} */ icon,
    /** @type {HTMLElement} */ content,
  ) => {
    const title = i18n.say(`${name}.title`);
    const section = element(
      "section",
      { class: `panel ${name}-panel`, "aria-label": title },
      element("h2", {}, title),
      content,
    );
    return { name, title, icon, section };
  };
  const body = (/** @type {HTMLElement} */ content) =>
    element("div", { class: "body", tabindex: "0" }, content);
  const talk = element(
    "div",
    { class: "talk" },
    timeline.scroller,
    ...(classroom.isReadOnly ? [] : [writing]),
  );
  const panels = [
    panel("talk", "chat-circle-text", talk),
    panel("poll", "chart-bar-horizontal", body(desk.root)),
    panel("questions", "question", body(questions.root)),
    panel("people", "users", body(persons.root)),
  ];
  const parts = tabs(i18n.say("room.parts"), panels);
  answer(null);

  return {
    nav: parts.nav,
    main: element("main", { class: "host" }, ...panels.map((one) => one.section), applause.root),
    update() {
      timeline.update(classroom.room.entries);
      desk.update();
      parts.count("questions", questions.update());
      parts.count("people", persons.update());
    },
  };
}

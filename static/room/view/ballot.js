import { kindOf, askedPoll, ownAnswer } from "../polls.js";
import { element } from "../../shared/element.js";
import { countdown } from "./countdown.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../drafts.js").Draft} Draft */
/** @typedef {import("../polls.js").Poll} Poll */

/**
 * The form for the poll that is asked now. An answer can be changed until the poll ends.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {Draft} draft of an answer that has not been sent
 */
export function ballot(i18n, classroom, draft) {
  const question = element("h2", { id: "ballot-question", dir: "auto" });
  const clock = countdown(i18n, classroom);
  const named = element("p", { class: "named" });
  const form = element("div", { role: "group", "aria-labelledby": question.id });
  const given = element("p", { class: "given", dir: "auto" });
  const note = element("p", { class: "soft note", role: "status" });
  const none = element("div", { class: "ballot" }, element("p", { class: "soft" }, i18n.say("poll.none")));
  const asked = element("div", { class: "ballot" }, question, clock.root, named, form, given, note);
  const root = element(
    "section",
    { class: "aside", "aria-label": i18n.say("poll.title") },
    asked,
    none,
  );
  let shown = "";
  let isHeld = false;
  /** @type {import("../kinds/kind.js").Ballot | null} */
  let fields = null;

  const show = (/** @type {Poll} */ poll) => {
    const { id } = poll;
    question.replaceChildren(...withLinks(poll.question));
    named.textContent = i18n.say(poll.named ? "poll.named" : "poll.nameless");
    fields = kindOf(poll).ballot(i18n, poll.ask, {
      send: (choice) => classroom.vote(poll, choice),
      draft: {
        read: () => (draft.read()?.poll === id ? draft.read().choice : null),
        keep: (choice) => draft.keep(choice === null ? null : { poll: id, choice }),
      },
    });
    form.replaceChildren(fields.root);
    root.scrollTop = 0;
  };

  return {
    root,
    /** Nothing can be sent, or it can again. @param {boolean} is */
    hold(is) {
      isHeld = is;
    },
    update() {
      // Until everything is read, a poll that has ended may seem open.
      const poll = classroom.isReadOnly || !classroom.isLoaded ? null : askedPoll(classroom.state);
      root.classList.toggle("asked", poll !== null);
      asked.hidden = poll === null;
      none.hidden = poll !== null;
      clock.update(poll);
      if (poll === null) return;
      // A program may ask something else under the same key.
      const name = `${poll.id} ${poll.seq}`;
      if (shown !== name) show(poll);
      shown = name;
      const answer = ownAnswer(classroom.state, poll, classroom.me);
      const counted = answer && !answer.isLate ? answer.choice : null;
      const sending = classroom.choiceOnItsWay(poll);
      const isOver = poll.phase !== "open" || (poll.until !== null && classroom.now > poll.until);
      fields?.update(sending ?? counted);
      form.hidden = isOver;
      form.inert = isHeld;
      given.hidden = !isOver || counted === null;
      if (counted !== null) {
        given.textContent = i18n.say("poll.given", { answer: kindOf(poll).inWords(counted, poll.ask) });
      }
      const isLate = answer?.isLate || classroom.isTooLate(poll);
      const stage =
        sending !== null ? "sending"
        : isOver ? (isLate ? "late" : "over")
        : counted !== null ? "counted"
        : kindOf(poll).isOneTap ? "choose"
        : "compose";
      note.classList.toggle("counted", stage === "counted");
      note.classList.toggle("late", stage === "late");
      const text = i18n.say(isHeld && !isOver ? "order.isMuted" : `poll.${stage}`);
      if (note.textContent !== text) note.textContent = text;
    },
  };
}

import { answersTo, currentPoll, kindOf, lastResult, solutionOf, tallyOf } from "../polls.js";
import { element } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";
import { answerList } from "./answer-list.js";
import { countdown } from "./countdown.js";
import { pollForm } from "./poll-form.js";
import { preparedSets } from "./prepared-sets.js";
import { solution } from "./solution.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../polls.js").Poll} Poll */

/** Seconds by which a poll's time can be made longer. */
const LONGER = 30;

/**
 * What a host can do with a poll, by its phase. `key`: the word of the button.
 *
 * @type {{key: (poll: Poll) => string, phase: Poll["phase"], isPrimary?: boolean, isShown?: (poll: Poll) => boolean,
 *   act: (classroom: Classroom, poll: Poll) => void}[]}
 */
const ACTS = [
  {
    ...{ phase: "open", isPrimary: true, key: ({ hidden }) => (hidden ? "poll.stop" : "poll.end") },
    act: (classroom, poll) => classroom.run(classroom.endPoll(poll)),
  },
  {
    ...{ phase: "open", key: ({ hidden }) => (hidden ? "poll.unhide" : "poll.hide") },
    act: (classroom, poll) => classroom.hideAnswers(poll, !poll.hidden),
  },
  {
    ...{ phase: "open", key: () => "poll.longer", isShown: ({ until }) => until !== null },
    act: (classroom, poll) => classroom.extend(poll, LONGER),
  },
  {
    ...{ phase: "ended", isPrimary: true, key: () => "poll.show" },
    act: (classroom, poll) => classroom.showResult(poll),
  },
  {
    ...{ phase: "ended", key: () => "poll.again" },
    act: (classroom, poll) => classroom.takeAnswers(poll),
  },
  ...["ended", "shown"].map((phase) => ({
    ...{ phase: /** @type {Poll["phase"]} */ (phase), key: () => "poll.putAway" },
    act: (/** @type {Classroom} */ classroom, /** @type {Poll} */ poll) => classroom.putAway(poll),
  })),
];

/**
 * Where a host starts a poll, watches it, ends it, and prepares others.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {import("../drafts.js").Draft} draft of the next poll
 */
export function pollDesk(i18n, classroom, draft) {
  const sets = preparedSets(i18n, classroom, {
    start: (question) => classroom.startPoll(question, question),
    edit: (question) => form.edit(question),
  });
  const form = pollForm(i18n, draft, {
    start: (question, unkept) => classroom.startPoll(question, question, unkept),
    keep: (question) => sets.add(question),
  });
  const running = element("section", { class: "desk", "aria-label": i18n.say("poll.title") });
  const last = element("section", { class: "desk", "aria-label": i18n.say("poll.last") });
  const clock = countdown(i18n, classroom);
  const phase = element("p", { class: "soft", role: "status" });
  const acts = element("div", { class: "row acts", tabindex: "-1" });
  const root = element("div", { class: "desk" }, running, form.root, sets.root, last);
  /** @type {{chart: import("../kinds/kind.js").Chart, reason: ReturnType<typeof solution>, answers: ReturnType<typeof answerList>} | null} */
  let parts = null;
  let shown = "";
  let shownLast = "";

  const longer = { time: i18n.duration(LONGER) };

  const show = (/** @type {Poll} */ poll) => {
    const kind = kindOf(poll);
    parts = {
      chart: kind.chart(i18n, poll.ask),
      reason: solution(i18n),
      answers: answerList(i18n, poll, (answer) => classroom.removeAnswer(poll, answer)),
    };
    const question = element("h2", { dir: "auto" }, ...withLinks(poll.question));
    const { chart, reason, answers } = parts;
    running.replaceChildren(question, clock.root, chart.root, phase, reason.root, acts, answers.root);
  };
  const showActs = (/** @type {Poll} */ poll) => {
    const possible = ACTS.filter((act) => act.phase === poll.phase && (act.isShown?.(poll) ?? true));
    const names = possible.map(({ key }) => key(poll));
    const isSame = acts.dataset.acts === names.join();
    acts.dataset.acts = names.join();
    // Buttons that stay keep the focus; of those that go it stays with the new ones, and presses none of them.
    if (!isSame) {
      if (acts.contains(document.activeElement)) acts.focus({ preventScroll: true });
      acts.replaceChildren(
        ...possible.map(({ isPrimary = false }, place) =>
          element("button", { type: "button", ...(isPrimary ? { class: "primary" } : {}) }, i18n.say(names[place], longer)),
        ),
      );
    }
    for (const [place, button] of [...acts.querySelectorAll("button")].entries()) {
      button.onclick = () => possible[place].act(classroom, poll);
      switchOff(button, classroom.isEnding(poll));
    }
  };

  const update = () => {
    const { state, isReadOnly } = classroom;
    const poll = currentPoll(state);
    // What started it is hidden, or far below.
    const isAtWork = root.contains(document.activeElement);
    running.hidden = poll === null;
    form.root.hidden = poll?.phase === "open" || isReadOnly;
    sets.update({ canStart: poll?.phase !== "open" });
    clock.update(poll);
    if (poll !== null) {
      // A program may ask something else under the same key.
      const name = `${poll.id} ${poll.seq}`;
      const isNew = shown !== name;
      if (isNew) show(poll);
      shown = name;
      if (!isReadOnly) classroom.endInTime(poll);
      const answers = answersTo(state, poll);
      const tally = poll.result ?? tallyOf(poll, answers);
      const solved = poll.result ?? solutionOf(state, poll.id);
      parts?.chart.update(tally, { right: solved.right });
      parts?.reason.update(solved.explanation);
      parts?.answers.update(answers, solved, classroom.present);
      phase.textContent = told(poll, tally.answers);
      acts.hidden = isReadOnly;
      showActs(poll);
      if (isNew && isAtWork) {
        acts.focus({ preventScroll: true });
        root.parentElement?.scrollTo(0, 0);
      }
    }
    const result = poll === null ? lastResult(state) : null;
    last.hidden = result === null;
    if (result !== null && shownLast !== result.poll) {
      const { root: chart, update } = kindOf(result).chart(i18n, result.ask);
      const reason = solution(i18n);
      update(result, { right: result.right });
      reason.update(result.explanation);
      last.replaceChildren(
        element("h3", {}, i18n.say("poll.last")),
        element("h2", { dir: "auto" }, ...withLinks(result.question)),
        ...[chart, reason.root],
      );
      shownLast = result.poll;
    }
  };

  /** @param {Poll} poll @param {number} count */
  const told = (poll, count) => {
    const present = classroom.presentParticipants;
    const isOf = poll.phase === "open" && present >= count;
    const words = [i18n.say(isOf ? "poll.votesOf" : "poll.votes", { count, present })];
    if (poll.phase !== "shown" && (poll.hidden || poll.phase === "ended")) words.push(i18n.say("poll.isHidden"));
    if (poll.phase === "shown") words.unshift(i18n.say("talk.result"));
    return words.join(" · ");
  };
  return { root, update };
}

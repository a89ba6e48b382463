import { answersTo, currentPoll, kindOf, tallyOf } from "../polls.js";
import { claps } from "./claps.js";
import { codeParts } from "./class-code.js";
import { countdown } from "./countdown.js";
import { element, icon } from "../../shared/element.js";
import { qrCode } from "../../shared/qr.js";
import { solution } from "./solution.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../polls.js").Poll} Poll */

/** The most choices that fit in full size. */
const FEW = 5;

/**
 * The view for the whole class: the poll and the conversation, large. How to enter the room stands in the poll's place
 * while there is none, and then below the conversation, if there is a class code. A closed room invites nobody.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {{address: string, code: ReturnType<typeof import("./class-code.js").classCode>}} entrance `address`: the room's
 */
export function projectorView(i18n, classroom, { address, code }) {
  const timeline = new Timeline(i18n, classroom, { me: null });
  if (!classroom.isReadOnly) timeline.nothing = i18n.say("projector.empty");
  const applause = claps();
  classroom.addEventListener("clap", () => applause.show());

  const join = element("div", { class: "join" });
  const corner = element("section", { class: "class-code", "aria-label": i18n.say("code.title"), hidden: true });
  /** For members, on a screen that shows nothing else to come in by. */
  const link = element("p", { class: "soft address" }, address);
  const invite = () => {
    link.hidden = code.isClosed || code.now !== null;
    if (code.isClosed) {
      join.replaceChildren(icon("lock-simple"), element("strong", {}, i18n.say("projector.closed")));
      return;
    }
    const byLink = () => [qrCode(address, i18n.say("share.code")), element("span", { class: "address" }, address)];
    const [picture, ...words] = code.now === null ? byLink() : codeParts(i18n, code);
    join.replaceChildren(picture, element("strong", {}, i18n.say("projector.join")), ...words);
    corner.replaceChildren(...codeParts(i18n, code));
    corner.hidden = code.now === null || board.hidden;
  };
  const board = element("div", { class: "desk", hidden: true });
  const clock = countdown(i18n, classroom);
  const reason = solution(i18n);
  const answers = element("p", { class: "soft", role: "status" });
  const stage = element("section", { class: "stage", "aria-label": i18n.say("poll.title") }, board, join);
  const talk = element(
    "section",
    { class: "talk", "aria-label": i18n.say("talk.title") },
    timeline.scroller,
    corner,
  );
  code.listen(invite);
  let shown = "";
  /** @type {import("../kinds/kind.js").Chart | null} */
  let chart = null;

  /** @param {Poll} poll */
  const show = (poll) => {
    chart = kindOf(poll).chart(i18n, poll.ask);
    const question = element("h2", { dir: "auto" }, poll.question);
    board.replaceChildren(question, clock.root, chart.root, answers, reason.root);
    stage.classList.toggle("many", board.querySelectorAll(".chart > li").length > FEW);
  };

  /** How the answers stand, if all may see it. @param {Poll} poll */
  const seen = (poll) => {
    if (poll.phase === "shown") return poll.result;
    return poll.phase === "open" && !poll.hidden ? tallyOf(poll, answersTo(classroom.state, poll)) : null;
  };

  /** @param {Poll} poll @param {import("../kinds/kind.js").Tally | null} tally */
  const told = (poll, tally) => {
    const count = tally?.answers ?? answersTo(classroom.state, poll).length;
    const present = classroom.presentParticipants;
    const isOf = poll.phase === "open" && present >= count;
    const words = i18n.say(isOf ? "poll.votesOf" : "poll.votes", { count, present });
    if (poll.phase === "shown") return `${i18n.say("talk.result")} · ${words}`;
    return tally === null ? `${words} · ${i18n.say(poll.phase === "open" ? "poll.shownLater" : "poll.over")}` : words;
  };

  return {
    link,
    main: element("main", {}, stage, talk, applause.root),
    update() {
      timeline.update(classroom.conversation);
      const poll = currentPoll(classroom.state);
      join.hidden = poll !== null;
      board.hidden = poll === null;
      corner.hidden = code.now === null || board.hidden;
      clock.update(poll);
      if (poll === null) return;
      // A program may ask something else under the same key.
      const name = `${poll.id} ${poll.seq}`;
      if (shown !== name) show(poll);
      shown = name;
      // The desk may be on a device that sleeps.
      if (!classroom.isReadOnly) classroom.endInTime(poll);
      const tally = seen(poll);
      chart?.update(tally, { right: poll.result?.right });
      reason.update(poll.result?.explanation ?? "");
      const words = told(poll, tally);
      if (answers.textContent !== words) answers.textContent = words;
    },
  };
}

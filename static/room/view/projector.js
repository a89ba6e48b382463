import { openPoll, tally } from "../select.js";
import { chart } from "./chart.js";
import { claps } from "./claps.js";
import { element } from "../../shared/element.js";
import { qrCode } from "./qr.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */

/** The most choices that fit in full size. */
const FEW = 5;

/**
 * The view for the whole class: the poll and the conversation, large. Without a poll: how to enter the room.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {string} address of the room
 */
export function projectorView(i18n, classroom, address) {
  const timeline = new Timeline(i18n, classroom, null);
  timeline.nothing = i18n.say("projector.empty");
  const applause = claps();
  classroom.addEventListener("clap", () => applause.show());

  const join = element(
    "div",
    { class: "join" },
    qrCode(address, i18n.say("share.code")),
    element("p", {}, element("strong", {}, i18n.say("projector.join"))),
    element("p", { class: "address" }, address),
  );
  const poll = element("div", { class: "desk", hidden: true });
  const answers = element("p", { class: "soft", role: "status" });
  const stage = element("section", { class: "stage", "aria-label": i18n.say("poll.title") }, poll, join);
  const talk = element(
    "section",
    { class: "talk", "aria-label": i18n.say("talk.title") },
    timeline.scroller,
  );
  let shown = "";
  /** @type {ReturnType<typeof chart> | null} */
  let bars = null;

  /** The poll that is open, else the last one's result. */
  const asked = () => {
    const { room } = classroom;
    const open = openPoll(room);
    if (open) return { ...open, totals: tally(room, open), isOpen: true };
    const result = room.entries.findLast(({ kind }) => kind === "result");
    return result?.kind === "result" ? { ...result, isOpen: false } : null;
  };

  return {
    main: element("main", {}, stage, talk, applause.root),
    update() {
      timeline.update(classroom.conversation);
      const now = asked();
      join.hidden = now !== null;
      poll.hidden = now === null;
      if (now === null) return;
      if (shown !== now.id) {
        bars = chart(i18n, now.options);
        stage.classList.toggle("many", now.options.length > FEW);
        poll.replaceChildren(element("h2", { dir: "auto" }, now.question), bars.root, answers);
        shown = now.id;
      }
      const count = now.totals.reduce((one, other) => one + other, 0);
      const present = classroom.presentParticipants;
      const words = i18n.say(now.isOpen && present >= count ? "poll.votesOf" : "poll.votes", {
        count,
        present,
      });
      bars?.update(now.totals);
      answers.textContent = now.isOpen ? words : `${i18n.say("talk.result")} · ${words}`;
    },
  };
}

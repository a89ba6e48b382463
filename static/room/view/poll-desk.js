import { openPoll, tally } from "../select.js";
import { chart } from "./chart.js";
import { element } from "../../shared/element.js";
import { pollForm } from "./poll-form.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */

/**
 * Where a host starts a poll, watches it, ends it.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {import("../drafts.js").Draft} draft of the next poll
 */
export function pollDesk(i18n, classroom, draft) {
  const form = pollForm(i18n, draft, (poll, unkept) =>
    classroom.startPoll(poll.question, poll.options, unkept),
  );
  const running = element("section", { class: "desk", "aria-label": i18n.say("poll.title") });
  const last = element("section", { class: "desk", "aria-label": i18n.say("poll.last") });
  const answers = element("p", { class: "soft", role: "status" });
  const end = element("button", { type: "button", class: "primary" }, i18n.say("poll.end"));
  const root = element("div", { class: "desk" }, running, form, last);
  /** @type {ReturnType<typeof chart> | null} */
  let bars = null;
  let shown = "";
  let shownLast = "";

  const update = () => {
    const { room } = classroom;
    const poll = openPoll(room);
    running.hidden = poll === null;
    form.hidden = poll !== null || classroom.isReadOnly;
    last.hidden = poll !== null;
    if (poll !== null) {
      if (shown !== poll.id) {
        bars = chart(i18n, poll.options);
        running.replaceChildren(element("h2", { dir: "auto" }, ...withLinks(poll.question)), bars.root, answers, end);
        shown = poll.id;
      }
      const totals = tally(room, poll);
      const count = totals.reduce((one, other) => one + other, 0);
      const present = classroom.presentParticipants;
      bars?.update(totals);
      answers.textContent =
        present < count
          ? i18n.say("poll.votes", { count })
          : i18n.say("poll.votesOf", { count, present });
      end.onclick = () => classroom.endPoll(poll, tally(classroom.room, poll));
      end.disabled = classroom.isEnding(poll);
    }
    const result = room.entries.findLast(({ kind }) => kind === "result");
    if (result?.kind === "result" && shownLast !== result.id) {
      const { root: bars, update } = chart(i18n, result.options);
      update(result.totals);
      last.replaceChildren(
        element("h3", {}, i18n.say("poll.last")),
        element("h2", { dir: "auto" }, ...withLinks(result.question)),
        bars,
      );
      shownLast = result.id;
    }
  };
  return { root, update };
}

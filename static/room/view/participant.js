import { LONGEST_QUESTION, LONGEST_TEXT } from "../bodies.js";
import { wordsOf } from "../pending-posts.js";
import { ownAnswer } from "../polls.js";
import { hasHandUp, keptQuestions, withQuestions, withWaiting } from "../select.js";
import { actButton } from "./act-button.js";
import { ballot } from "./ballot.js";
import { claps } from "./claps.js";
import { composer } from "./composer.js";
import { leftDraft } from "./left-draft.js";
import { element, icon } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";
import { Order } from "../order.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../drafts.js").Draft} Draft */

/**
 * A participant's view: the poll, the conversation, and a field to write.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {{talk: Draft, ballot: Draft}} drafts
 */
export function participantView(i18n, classroom, drafts) {
  const poll = ballot(i18n, classroom, drafts.ballot);
  const timeline = new Timeline(i18n, classroom);
  const applause = claps();
  classroom.addEventListener("clap", () => applause.show());

  let toHosts = false;
  /** Whether it was the hosts, and not the user, who chose that it goes to them. */
  let isTurned = false;
  const field = composer({
    i18n,
    draft: drafts.talk,
    to: () => (toHosts ? "hosts" : "all"),
    longest: () => (toHosts ? LONGEST_QUESTION : LONGEST_TEXT),
    choose: (to) => choose(to === "hosts"),
    send: (text, unkept) => {
      if (toHosts) classroom.ask(text, unkept);
      else classroom.say(text, unkept);
      obey();
    },
  });
  if (!classroom.isReadOnly) {
    timeline.edit = (post) => {
      choose(post.type === "question");
      field.edit(wordsOf(post));
    };
  }
  const hand = actButton("hand-palm", i18n.say("hand.raise"), {
    "aria-pressed": "false",
    click: () => classroom.raiseHand(hand.getAttribute("aria-pressed") !== "true"),
  });
  hand.append(icon("check-circle"));
  const clap = actButton("hands-clapping", i18n.say("clap"), { click: () => classroom.clap() });
  const address = (/** @type {boolean} */ hosts) => {
    toHosts = hosts;
    isTurned = false;
    writing.classList.toggle("private", hosts);
    field.label(i18n.say(hosts ? "talk.writeToHosts" : "talk.writeToAll"));
    field.keep();
  };
  const radio = (/** @type {boolean} */ hosts) => {
    const change = () => {
      address(hosts);
      obey();
    };
    return element("input", { type: "radio", name: "to", checked: !hosts, change });
  };
  const [all, hosts] = [radio(false), radio(true)];
  const choose = (/** @type {boolean} */ isToHosts) => {
    (isToHosts ? hosts : all).checked = true;
    address(isToHosts);
  };
  /** What the hosts have ordered, if it is something. */
  const ordered = element("p", { class: "soft ordered", role: "status" });
  /** What holds for the user now, in words. */
  const rules = () => {
    if (order.isMuted(classroom.me)) return i18n.say("order.isMuted");
    const { chat, slow, approve } = order.settings;
    if (!chat) return i18n.say("order.isOff");
    return [
      ...(slow > 0 ? [i18n.say("order.isSlow", { time: i18n.duration(slow) })] : []),
      ...(approve ? [i18n.say("order.isApproved")] : []),
      // A text that was written for the hosts goes to everyone only if its author says so.
      ...(isTurned ? [i18n.say("order.isOnAgain")] : []),
    ].join(" ");
  };
  const obey = () => {
    const { chat } = order.settings;
    const isMuted = order.isMuted(classroom.me);
    all.disabled = !chat || isMuted;
    hosts.disabled = isMuted;
    for (const one of [hand, clap]) switchOff(one, isMuted);
    field.hold(isMuted);
    poll.hold(isMuted);
    // A text that was meant for everyone stays in the field, which shows whom it would go to now.
    if (!chat && !toHosts) {
      choose(true);
      isTurned = true;
    }
    // Nor does what somebody is about to write, with the eyes on the keyboard, become public by itself.
    if (chat && isTurned && field.isIdle()) choose(false);
    const words = rules();
    if (ordered.textContent !== words) ordered.textContent = words;
  };
  const order = new Order(classroom, () => obey());
  const writing = element(
    "div",
    { class: "writing", focusout: () => obey() },
    timeline.newest,
    ordered,
    element(
      "div",
      { class: "row" },
      element(
        "div",
        { class: "choice", role: "radiogroup", "aria-label": i18n.say("talk.to") },
        element("label", {}, all, i18n.say("talk.toAll")),
        element("label", {}, hosts, i18n.say("talk.toHosts")),
      ),
      hand,
      clap,
    ),
    field.notes,
    field.form,
  );
  writing.classList.toggle("private", toHosts);
  field.label(i18n.say("talk.writeToAll"));
  if (!classroom.isReadOnly) field.restore();
  const talk = element(
    "section",
    { class: "talk", "aria-label": i18n.say("talk.title") },
    timeline.scroller,
    ...(classroom.isReadOnly ? leftDraft(i18n, drafts.talk) : [writing]),
  );
  // Announced to screen readers; others see it at the button.
  const told = element("p", { class: "hidden-text", role: "status" });
  const main = element("main", { class: "participant" }, poll.root, talk, applause.root, told);

  /** @param {import("../polls.js").Result} result */
  const chosenOf = (result) =>
    ownAnswer(classroom.state, { ...result, id: result.poll, until: null }, classroom.me)?.choice ?? null;

  return {
    main,
    update() {
      const { state, me } = classroom;
      // Whoever comes back from the list of rooms is told no news: what is known counts.
      if (!classroom.isReadOnly) obey();
      poll.update();
      const isUp = classroom.handOnItsWay ?? hasHandUp(state, me);
      if (hand.getAttribute("aria-pressed") !== `${isUp}`) {
        hand.setAttribute("aria-pressed", `${isUp}`);
        told.textContent = i18n.say(isUp ? "hand.isUp" : "hand.isDown");
      }
      timeline.update(
        withQuestions(withWaiting(classroom.conversation, classroom.approvals), keptQuestions(state)).map((entry) =>
          entry.kind === "result" ? { ...entry, chosen: chosenOf(entry.result) } : entry,
        ),
      );
    },
  };
}

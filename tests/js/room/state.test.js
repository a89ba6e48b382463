import assert from "node:assert/strict";
import { test } from "node:test";
import {
  choiceOf,
  hasHandUp,
  openPoll,
  openQuestions,
  raisedHands,
  shares,
  tally,
  withQuestions,
} from "../../../static/room/select.js";
import { emptyRoom, reduce } from "../../../static/room/state.js";
import { toAll, toHosts } from "./messages.js";

/** @param {...any} messages */
const room = (...messages) => messages.reduce(reduce, emptyRoom(["hana"]));

const POLL = { question: "Why green?", options: ["Chlorophyll", "Paint"] };
const poll = toAll("hana", "poll", POLL, { id: "poll-1" });
const vote = (user, option, rest) => toHosts(user, "vote", { poll: "poll-1", option }, rest);
const closing = { ...POLL, poll: "poll-1", totals: [3, 1] };

test("what is said stands in the order of seq, each message once", () => {
  const one = toAll("paul", "message", "one");
  const two = toAll("mina", "chat", { text: "two" });
  const { entries } = room(two, one, two, one);
  assert.deepEqual(
    entries.map(({ sender, text }) => [sender, text]),
    [
      ["paul", "one"],
      ["mina", "two"],
    ],
  );
});

test("what was shown beside a sender's name stands with what they said, if it is a text", () => {
  const named = { name: "Mina Kim" };
  const { entries, questions } = room(
    { ...toAll("mina", "message", "hi"), ...named },
    { ...toAll("paul", "message", "hi"), name: { toString: 1 } },
    { ...toHosts("mina", "question", "why?"), ...named },
  );
  assert.deepEqual(
    entries.map(({ sender, name }) => [sender, name]),
    [
      ["mina", "Mina Kim"],
      ["paul", undefined],
    ],
  );
  assert.deepEqual(
    [...questions.values()].map(({ name }) => name),
    ["Mina Kim"],
  );
});

test("a message that is known changes nothing", () => {
  for (const known of [
    toAll("paul", "message", "one"),
    toHosts("paul", "question", "why?"),
    toHosts("paul", "hand", { up: true }),
    vote("paul", 0),
    poll,
    toAll("hana", "poll-closed", closing),
    toAll("hana", "answer", { text: "so", question: "q", quote: "why?" }),
    toAll("hana", "hand-taken", { hand: "h" }),
  ]) {
    const once = room(known);
    assert.notDeepEqual(once, emptyRoom(["hana"]), known.type);
    assert.deepEqual(reduce(once, known), once, known.type);
  }
});

test("unknown types, wrong audiences, broken bodies and instant messages change nothing", () => {
  const before = room(poll);
  for (const strange of [
    toAll("hana", "dance", {}),
    toAll("hana", "toString", {}),
    { ...toAll("hana", "message", "x"), audience: "secret" },
    toAll("paul", "vote", { poll: "poll-1", option: 0 }),
    toHosts("hana", "poll", POLL),
    toAll("paul", "message", "instant", { seq: null }),
    ...["message", "poll", "poll-closed", "answer", "hand-taken"].flatMap((type) =>
      [null, 7, "", "  ", [], {}, { text: 7 }].map((body) => toAll("hana", type, body)),
    ),
    ...["vote", "question", "hand", "question-done"].flatMap((type) =>
      [null, 7, "", "  ", [], {}, { text: 7 }].map((body) => toHosts("hana", type, body)),
    ),
    toAll("hana", "message", "x".repeat(10_001)),
    toAll("hana", "poll", { question: "?", options: ["only one"] }),
    toAll("hana", "poll", { question: "?", options: Array(9).fill("many") }),
    toAll("hana", "poll", { question: "?", options: ["a", ""] }),
    toAll("hana", "poll-closed", { ...closing, totals: [1] }),
    toAll("hana", "poll-closed", { ...closing, totals: [1, -1] }),
    toAll("hana", "poll-closed", { ...closing, poll: "x".repeat(65) }),
    toHosts("paul", "vote", { poll: "poll-1", option: -1 }),
    toHosts("paul", "vote", { poll: "poll-1", option: 8 }),
    toHosts("paul", "hand", { up: "yes" }),
  ]) {
    assert.equal(reduce(before, strange), before, JSON.stringify(strange));
  }
});

test("only hosts open and end polls, answer, call on hands and set questions aside", () => {
  const question = toHosts("mina", "question", "Why?", { id: "q" });
  const hand = toHosts("mina", "hand", { up: true }, { id: "h" });
  const before = room(poll, question, hand);
  for (const forged of [
    toAll("paul", "poll", POLL),
    toAll("paul", "poll-closed", closing),
    toAll("paul", "answer", { text: "so", question: "q", quote: "Why?" }),
    toAll("paul", "hand-taken", { hand: "h" }),
    toHosts("paul", "question-done", { question: "q" }),
  ]) {
    assert.equal(reduce(before, forged), before, forged.type);
  }
});

test("what counts is who the sender was when it was said", () => {
  const asHost = { role: "host" };
  const before = room(toHosts("mina", "question", "Why?", { id: "q" }));
  for (const removed of [
    toAll("once a host", "poll", POLL, asHost),
    toAll("once a host", "poll-closed", closing, asHost),
    toAll("once a host", "answer", { text: "so", question: "q", quote: "Why?" }, asHost),
    toAll("once a host", "hand-taken", { hand: "h" }, asHost),
    toHosts("once a host", "question-done", { question: "q" }, asHost),
  ]) {
    assert.notEqual(reduce(before, removed), before, removed.type);
  }
  const promoted = toAll("hana", "poll", POLL, { role: "participant" });
  assert.equal(reduce(before, promoted), before);
});

test("of what does not say who its sender was, that of known hosts counts", () => {
  const before = room();
  assert.equal(reduce(before, toAll("paul", "poll", POLL, { role: null })), before);
  assert.notEqual(reduce(before, toAll("hana", "poll", POLL, { role: null })), before);
});

test("a poll is open from its message to the first one that ends it", () => {
  assert.equal(openPoll(room()), null);
  assert.equal(openPoll(room(poll))?.question, "Why green?");
  const ended = toAll("hana", "poll-closed", closing);
  const again = toAll("hana", "poll-closed", { ...closing, totals: [9, 9] });
  const after = room(poll, ended, again);
  assert.equal(openPoll(after), null);
  assert.deepEqual(
    after.entries.map(({ kind, totals }) => [kind, totals]),
    [
      ["poll", undefined],
      ["result", [3, 1]],
    ],
  );
  assert.equal(openPoll(room(ended, poll)), null);
});

test("of two open polls the newer one is asked", () => {
  const newer = toAll("hana", "poll", { question: "And now?", options: ["a", "b"] });
  assert.equal(openPoll(room(newer, poll))?.question, "And now?");
});

test("each user has one vote: the last, in whatever order they come", () => {
  const first = vote("paul", 0);
  const second = vote("paul", 1);
  for (const order of [
    [poll, first, second],
    [second, first, poll],
  ]) {
    const now = room(...order, vote("mina", 1, { seq: 1 }));
    assert.deepEqual(tally(now, now.polls[0]), [0, 2]);
    assert.equal(choiceOf(now, "poll-1", "paul"), 1);
  }
  assert.equal(choiceOf(room(poll), "poll-1", "paul"), null);
});

test("a vote for an option that the poll does not have is not counted", () => {
  const now = room(poll, vote("paul", 5), vote("mina", 0));
  assert.deepEqual(tally(now, now.polls[0]), [1, 0]);
  assert.deepEqual(tally(room(poll), room(poll).polls[0]), [0, 0]);
});

test("a question is open until it is answered or set aside", () => {
  const why = toHosts("mina", "question", "Why?", { id: "why" });
  const how = toHosts("paul", "message", "How?", { id: "how" });
  const when = toHosts("paul", "question", { text: "When?" }, { id: "when" });
  const answer = toAll("hana", "answer", { text: "So.", question: "why", quote: "Why?" });
  const done = toHosts("hana", "question-done", { question: "how" });
  for (const order of [
    [why, how, when, answer, done],
    [answer, done, when, how, why],
  ]) {
    const now = room(...order);
    assert.deepEqual(
      openQuestions(now).map(({ text }) => text),
      ["When?"],
    );
    assert.equal(now.questions.length, 3);
    assert.equal(now.entries[0].quote, "Why?");
  }
});

test("hands stand in the order in which they went up, until lowered or called on", () => {
  const paul = toHosts("paul", "hand", { up: true });
  const mina = toHosts("mina", "hand", { up: true }, { id: "mina's" });
  const eve = toHosts("eve", "hand", { up: true });
  const down = toHosts("eve", "hand", { up: false });
  const taken = toAll("hana", "hand-taken", { hand: "mina's" });
  assert.deepEqual(
    raisedHands(room(mina, paul)).map(({ sender }) => sender),
    ["paul", "mina"],
  );
  const now = room(down, eve, taken, mina, paul);
  assert.deepEqual(
    raisedHands(now).map(({ sender }) => sender),
    ["paul"],
  );
  assert.equal(hasHandUp(now, "mina"), false);
  const again = reduce(now, toHosts("mina", "hand", { up: true }));
  assert.equal(hasHandUp(again, "mina"), true);
});

test("shares are parts of all votes", () => {
  assert.deepEqual(shares([0, 0]), [0, 0]);
  assert.deepEqual(shares([3, 1]), [0.75, 0.25]);
});

test("a participant reads the own questions where they were asked", () => {
  const at = (minute, message) => ({ ...message, sent_at: `2026-03-02T09:0${minute}:00.000000Z` });
  const { entries, questions } = room(
    at(1, toAll("hana", "message", "one")),
    at(2, toHosts("paul", "question", "why?")),
    at(3, toAll("hana", "message", "two")),
    at(4, toHosts("paul", "question", "how?")),
  );
  assert.deepEqual(
    withQuestions(entries, questions).map(({ kind, text }) => [kind, text]),
    [
      ["text", "one"],
      ["question", "why?"],
      ["text", "two"],
      ["question", "how?"],
    ],
  );
});

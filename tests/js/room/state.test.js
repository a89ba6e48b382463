import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hasHandUp,
  keptQuestions,
  openQuestions,
  raisedHands,
  withOneResult,
  withQuestions,
} from "../../../static/room/select.js";
import { emptyRoom, reduce } from "../../../static/room/state.js";
import { stateOf } from "./kept.js";
import { toAll, toHosts } from "./messages.js";

/** @param {...any} messages */
const room = (...messages) => messages.reduce(reduce, emptyRoom(["hana"]));

const POLL = { question: "Why green?", options: ["Chlorophyll", "Paint"] };
const poll = toAll("hana", "poll", POLL, { id: "poll-1" });
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

test("what a participant keeps is no talk, whatever it calls itself", () => {
  const kept = { keep: "score:1", role: "participant" };
  const { entries } = room(
    toAll("paul", "message", "one", kept),
    toAll("paul", "chat", { text: "two" }, kept),
    toAll("hana", "message", "three", { keep: "notice", role: "host" }),
  );
  assert.deepEqual(entries.map(({ text }) => text), ["three"]);
});

test("a text that is longer than what people write is shown as far as it goes, with a mark", () => {
  const [long, most] = ["x".repeat(20_000), "y".repeat(10_000)];
  // A character of two halves, where it is cut.
  const halves = "\u{1F600}".repeat(10_000);
  const answer = { text: long, question: "q", quote: long };
  const { entries, questions } = room(
    toAll("program", "message", long),
    toAll("program", "chat", { text: halves }),
    toAll("program", "message", most),
    toAll("hana", "answer", answer),
    toHosts("program", "question", { text: long }),
  );
  const shown = [...entries.map(({ text }) => text), entries[3].quote, questions[0].text];
  assert.deepEqual(
    shown.map((text) => text.length),
    [10_000, 10_000, 10_000, 10_000, 10_000, 10_000],
  );
  const isCut = shown.map((text) => text.endsWith(" […]"));
  assert.deepEqual(isCut, [true, true, false, true, true, true]);
  const odd = room(toAll("program", "message", `a${halves}`)).entries[0].text;
  assert.ok([shown[1], odd].every((text) => text.isWellFormed()));
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
    poll,
    toAll("hana", "poll-closed", closing),
    toAll("hana", "answer", { text: "so", question: "q", quote: "why?" }),
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
    ...["message", "poll", "poll-closed", "answer"].flatMap((type) =>
      [null, 7, "", "  ", [], {}, { text: 7 }].map((body) => toAll("hana", type, body)),
    ),
    ...["question", "question-done"].flatMap((type) =>
      [null, 7, "", "  ", [], {}, { text: 7 }].map((body) => toHosts("hana", type, body)),
    ),
    toAll("hana", "poll", { question: "?", options: ["only one"] }),
    toAll("hana", "poll", { question: "?", options: Array(9).fill("many") }),
    toAll("hana", "poll", { question: "?", options: ["a", ""] }),
    toAll("hana", "poll-closed", { ...closing, totals: [1] }),
    toAll("hana", "poll-closed", { ...closing, totals: [1, -1] }),
    toAll("hana", "poll-closed", { ...closing, poll: "x".repeat(65) }),
    toHosts("paul", "question", { text: "kept?" }, { keep: "question:q" }),
  ]) {
    assert.equal(reduce(before, strange), before, JSON.stringify(strange));
  }
});

test("only hosts open and end polls, answer and set questions aside", () => {
  const question = toHosts("mina", "question", "Why?", { id: "q" });
  const before = room(poll, question);
  for (const forged of [
    toAll("paul", "poll", POLL),
    toAll("paul", "poll-closed", closing),
    toAll("paul", "answer", { text: "so", question: "q", quote: "Why?" }),
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

test("one poll has one result in the conversation, where it was shown first, with what counts now", () => {
  const ended = toAll("hana", "poll-closed", closing);
  const said = toAll("hana", "message", "so");
  const again = toAll("hana", "poll-closed", { ...closing, totals: [9, 9] });
  const other = toAll("hana", "poll-closed", { ...closing, poll: "poll-2" });
  for (const order of [
    [poll, ended, said, again, other],
    [other, again, said, ended, poll],
  ]) {
    assert.deepEqual(
      withOneResult(room(...order).entries).map(({ kind, text, result }) => [kind, text ?? result?.totals]),
      [
        ["poll", undefined],
        ["result", [9, 9]],
        ["text", "so"],
        ["result", [3, 1]],
      ],
    );
  }
});

test("a question is open until it is answered or set aside, with a key and without", () => {
  const why = toHosts("mina", "question", { text: "Why?" }, { keep: "question:why" });
  const how = toHosts("paul", "message", "How?", { id: "how" });
  const when = toHosts("paul", "question", { text: "When?" }, { id: "when" });
  const where = toHosts("eve", "question", { text: "Where?" }, { keep: "question:where" });
  const who = toHosts("eve", "question", { text: "Who?" }, { keep: "question:who" });
  const answer = toAll("hana", "answer", { text: "So.", question: "why", quote: "Why?" });
  const done = toHosts("hana", "question-done", { question: "how" });
  const fate = toHosts("hana", "question-done", { question: "where", done: true }, { keep: "fate:where" });
  for (const order of [
    [why, how, when, where, who, answer, done, fate],
    [fate, answer, done, who, where, when, how, why],
  ]) {
    const state = stateOf(...order);
    assert.deepEqual(
      openQuestions(state, room(...order)).map(({ sender, text }) => [sender, text]),
      [
        ["paul", "When?"],
        ["eve", "Who?"],
      ],
    );
    assert.deepEqual(
      keptQuestions(state).map(({ id }) => id),
      ["why", "where", "who"],
    );
  }
  const forged = toHosts("paul", "question-done", { question: "who" }, { keep: "fate:who" });
  assert.equal(openQuestions(stateOf(who, forged), room()).length, 1);
});

test("hands stand in the order in which they went up, until lowered or called on", () => {
  const hand = (user, up, rest) => toHosts(user, "hand", up ? { up } : null, { keep: "hand", ...rest });
  const messages = [
    hand("paul", true),
    hand("mina", true),
    hand("eve", true),
    hand("eve", false),
    hand("hana", false, { of: "mina" }),
    hand("ben", true),
  ];
  for (const order of [messages, [...messages].reverse()]) {
    const state = stateOf(...order);
    assert.deepEqual(
      raisedHands(state).map(({ sender }) => sender),
      ["paul", "ben"],
    );
    assert.equal(hasHandUp(state, "mina"), false);
  }
  assert.equal(hasHandUp(stateOf(...messages, hand("mina", true)), "mina"), true);
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

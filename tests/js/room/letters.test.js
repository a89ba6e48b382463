import assert from "node:assert/strict";
import { test } from "node:test";
import { letterFor, shownLetters, wordsOf } from "../../../static/room/letters.js";

/** @param {string} type @param {unknown} body @param {string} state */
const letter = (type, body, state = "sending") => ({ id: `${type} ${state}`, type, body, state });

const vote = (option, state) => letter("vote", { poll: "p", option }, state);

test("the newest letter that may arrive counts", () => {
  const letters = [vote(0), vote(1, "waiting"), vote(2, "refused"), letter("hand", { up: true })];
  const ofPoll = (poll) => (body) => body.poll === poll;
  assert.equal(letterFor(letters, "vote", ofPoll("p")).body.option, 1);
  assert.equal(letterFor(letters, "vote", ofPoll("q")), null);
  assert.equal(letterFor([], "hand", () => true), null);
});

test("what is said stands among the messages, and whatever was refused", () => {
  const letters = [
    letter("message", "hello", "confirmed"),
    letter("question", "why?"),
    letter("answer", { text: "so", quote: "why?" }),
    vote(1),
    vote(2, "refused"),
    letter("poll", { question: "q" }),
  ];
  assert.deepEqual(
    shownLetters(letters).map(({ type }) => type),
    ["message", "question", "answer", "vote"],
  );
});

test("a letter says what was written", () => {
  assert.equal(wordsOf(letter("message", "hello")), "hello");
  assert.equal(wordsOf(letter("answer", { text: "so", quote: "why?" })), "so");
  assert.equal(wordsOf(letter("poll", { question: "why?", options: [] })), "why?");
  assert.equal(wordsOf(letter("poll-closed", { question: "why?" })), "why?");
  assert.equal(wordsOf(vote(1)), "");
});

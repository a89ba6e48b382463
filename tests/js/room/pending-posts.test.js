import assert from "node:assert/strict";
import { test } from "node:test";
import { pendingPost, shownPosts, wordsOf } from "../../../static/room/pending-posts.js";

/** @param {string} type @param {unknown} body @param {string} state */
const post = (type, body, state = "sending") => ({ id: `${type} ${state}`, type, body, state });

const vote = (option, state) => post("vote", { poll: "p", option }, state);

test("the newest post that may arrive counts", () => {
  const posts = [vote(0), vote(1, "waiting"), vote(2, "refused"), post("hand", { up: true })];
  const ofPoll = (poll) => (body) => body.poll === poll;
  assert.equal(pendingPost(posts, "vote", ofPoll("p")).body.option, 1);
  assert.equal(pendingPost(posts, "vote", ofPoll("q")), null);
  assert.equal(pendingPost([], "hand", () => true), null);
});

test("what is said stands among the messages, and whatever was refused", () => {
  const posts = [
    post("message", "hello", "confirmed"),
    post("question", "why?"),
    post("answer", { text: "so", quote: "why?" }),
    vote(1),
    vote(2, "refused"),
    post("poll", { question: "q" }),
  ];
  assert.deepEqual(
    shownPosts(posts).map(({ type }) => type),
    ["message", "question", "answer", "vote"],
  );
});

test("a post says what was written", () => {
  assert.equal(wordsOf(post("message", "hello")), "hello");
  assert.equal(wordsOf(post("answer", { text: "so", quote: "why?" })), "so");
  assert.equal(wordsOf(post("poll", { question: "why?", options: [] })), "why?");
  assert.equal(wordsOf(post("poll-closed", { question: "why?" })), "why?");
  assert.equal(wordsOf(vote(1)), "");
  // Another program of this user may have posted anything.
  for (const strange of [null, 7, {}, { text: 7 }, { text: { length: 1 } }, { question: [] }]) {
    for (const type of ["message", "poll"]) assert.equal(wordsOf(post(type, strange)), "");
  }
});

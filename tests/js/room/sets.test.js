import assert from "node:assert/strict";
import { test } from "node:test";
import { KINDS } from "../../../static/room/kinds/table.js";
import { fileOf, fits, MOST_QUESTIONS, preparedBody, readFile, readPrepared, setsOf } from "../../../static/room/sets.js";
import { stateOf } from "./kept.js";
import { toHosts } from "./messages.js";

const ASKS = {
  ...{ choice: { options: ["a", "b"] }, several: { options: ["a", "b"] }, ranking: { options: ["a", "b"] } },
  ...{ text: {}, cloud: {}, scale: { from: 0, to: 10, low: "never", high: "" } },
};
const question = (kind, rest = {}) => ({
  ...{ kind, question: `About ${kind}?`, ask: ASKS[kind], named: true, right: [], explanation: "" },
  ...{ seconds: 60, hidden: true, ...rest },
});

test("a set goes into a file and comes back, with questions of every kind", () => {
  const questions = Object.keys(KINDS).map((kind) => question(kind));
  questions[0] = question("choice", { right: [1], explanation: "because", seconds: null, hidden: false });
  const kept = questions.map((one, place) => ({ ...one, id: `${place}`, place }));
  assert.deepEqual(readFile(fileOf({ title: "7b", questions: kept })), { title: "7b", questions });
});

test("of a file of a later version the known questions are taken; anything else is no file of ours", () => {
  const body = preparedBody(question("choice"));
  const known = readFile(JSON.stringify({ title: " 7b ", questions: [{ ...body, kind: "hologram" }, body] }));
  assert.deepEqual([known?.title, known?.questions.length], ["7b", 1]);
  for (const strange of [
    "",
    "null",
    "[]",
    "{",
    JSON.stringify({ title: "", questions: [body] }),
    JSON.stringify({ title: "7b", questions: [] }),
    JSON.stringify({ title: "7b", questions: Array(MOST_QUESTIONS + 1).fill(body) }),
    JSON.stringify({ title: "7b", questions: [{ ...body, seconds: -1 }] }),
    JSON.stringify({ title: "7b", questions: [{ ...body, hidden: "yes" }] }),
  ]) {
    assert.equal(readFile(strange), null, strange);
  }
});

test("a question that does not fit into one message is told before it is kept", () => {
  assert.equal(fits(question("choice")), true);
  const long = question("choice", { ask: { options: Array(8).fill("가".repeat(300)) }, explanation: "가".repeat(500) });
  assert.ok(readPrepared(preparedBody(long)));
  assert.equal(fits(long), false);
});

test("the sets of a room stand by title, their questions by place, and no participant makes one", () => {
  const kept = (key, body, sender = "hana") => toHosts(sender, "poll-set", body, { keep: key });
  const one = (place, text) => ({ place, ...preparedBody(question("choice", { question: text })) });
  const state = stateOf(
    kept("set:b:2", one(2, "second?")),
    kept("set:b:1", one(1, "first?")),
    kept("set:b", { title: "B" }),
    kept("set:a", { title: "A" }),
    kept("set:a:x", { place: 1, question: 7 }),
    kept("set:lost:1", one(1, "of no set?")),
    kept("set:p", { title: "Paul's" }, "paul"),
  );
  assert.deepEqual(
    setsOf(state.private.entries("set:")).map(({ id, title, questions }) => [id, title, questions.map((each) => each.question)]),
    [
      ["a", "A", []],
      ["b", "B", ["first?", "second?"]],
    ],
  );
});

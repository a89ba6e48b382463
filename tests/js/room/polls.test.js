import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answersTo,
  askedPoll,
  currentPoll,
  lastResult,
  ownAnswer,
  polls,
  readPoll,
  readResult,
  resultBody,
  solutionOf,
  tallyOf,
} from "../../../static/room/polls.js";
import { stateOf } from "./kept.js";
import { POLL, toAll, toHosts } from "./messages.js";

const GREEN = { question: "Why green?", options: ["Chlorophyll", "Paint"] };
const asked = (id = "p", rest = {}) => POLL.asked(id, GREEN, rest);

test("a poll is open while answers are taken, then ended, then shown", () => {
  const steps = [asked(), POLL.taken("p"), POLL.ended("p"), POLL.shown("p", { ...GREEN, totals: [3, 1], answers: 4 })];
  const phases = steps.map((_, last) => currentPoll(stateOf(...steps.slice(0, last + 1)))?.phase);
  assert.deepEqual(phases, ["ended", "open", "ended", "shown"]);
  assert.equal(currentPoll(stateOf()), null);
  const away = stateOf(...steps, toAll("hana", "poll", null, { keep: "poll:p" }));
  assert.equal(currentPoll(away), null);
  assert.deepEqual(lastResult(away)?.totals, [3, 1]);
});

test("any order of arrival gives the same poll", () => {
  const messages = [asked(), POLL.taken("p"), POLL.vote("paul", "p", { option: 0 }), POLL.vote("paul", "p", { option: 1 }), POLL.ended("p")];
  const expected = [{ user: "paul", choice: { option: 1 } }];
  for (const order of [messages, [...messages].reverse()]) {
    const state = stateOf();
    for (const message of order) state[message.audience].take(message);
    const poll = currentPoll(state);
    assert.equal(poll?.phase, "ended");
    assert.deepEqual(answersTo(state, poll), expected);
  }
});

test("who asked may have left: what counts is that they were a host then", () => {
  const state = stateOf(asked("p", { role: "host" }), toAll("zoe", "poll", GREEN, { keep: "poll:q", role: "host" }));
  assert.equal(currentPoll(state)?.id, "q");
  const forged = stateOf(toAll("paul", "poll", GREEN, { keep: "poll:p" }));
  assert.equal(currentPoll(forged), null);
  const shown = stateOf(toAll("paul", "poll-closed", { poll: "p", ...GREEN, totals: [1, 0] }, { keep: "result:p" }));
  assert.equal(lastResult(shown), null);
});

test("of several polls the newest is asked, also when a newer one's result is shown", () => {
  const state = stateOf(asked("a"), POLL.taken("a"), asked("b"), POLL.taken("b"), POLL.ended("b"), POLL.shown("b", { ...GREEN, totals: [0, 0] }));
  assert.equal(currentPoll(state)?.id, "b");
  assert.equal(askedPoll(state)?.id, "a");
  assert.deepEqual(
    polls(state).map(({ id, phase }) => [id, phase]),
    [
      ["a", "open"],
      ["b", "shown"],
    ],
  );
});

test("an answer that comes after the time counts for nobody, whoever saw it first", () => {
  const until = "2026-03-02T09:05:00.000Z";
  const at = (sent_at) => ({ sent_at });
  const state = stateOf(
    asked(),
    POLL.taken("p", { until, hidden: true }),
    POLL.vote("paul", "p", { option: 0 }, at("2026-03-02T09:04:59.999999Z")),
    POLL.vote("mina", "p", { option: 1 }, at("2026-03-02T09:05:00.001000Z")),
  );
  const poll = currentPoll(state);
  assert.deepEqual([poll?.until, poll?.hidden], [Date.parse(until), true]);
  assert.deepEqual(tallyOf(poll, answersTo(state, poll)), { totals: [1, 0], answers: 1 });
  assert.deepEqual(ownAnswer(state, poll, "paul"), { choice: { option: 0 }, isLate: false });
  assert.deepEqual(ownAnswer(state, poll, "mina"), { choice: { option: 1 }, isLate: true });
  assert.equal(ownAnswer(state, poll, "eve"), null);
});

test("votes of other polls, of hosts, and such as do not fit are not counted", () => {
  const state = stateOf(
    asked(),
    POLL.vote("paul", "p", { option: 5 }),
    POLL.vote("hana", "p", { option: 0 }),
    POLL.vote("mina", "p-2", { option: 0 }),
    POLL.vote("eve", "p", { option: 0 }),
    POLL.vote("eve", "p", null),
    { ...POLL.vote("ben", "p", { option: 1 }), name: "Ben Lee" },
  );
  const poll = currentPoll(state);
  assert.deepEqual(answersTo(state, poll), [{ user: "ben", name: "Ben Lee", choice: { option: 1 } }]);
});

test("a host takes an answer away", () => {
  const vote = POLL.vote("paul", "p", { option: 1 });
  const taken = toHosts("hana", "vote", null, { keep: "vote:p", of: "paul" });
  const state = stateOf(asked(), vote, taken);
  assert.deepEqual(answersTo(state, currentPoll(state)), []);
});

test("what is right is with the hosts until the result tells it", () => {
  const solution = { right: [0], explanation: "It absorbs red light." };
  const state = stateOf(asked(), POLL.taken("p"), POLL.solved("p", solution));
  assert.deepEqual(solutionOf(state, "p"), solution);
  assert.deepEqual(solutionOf(state, "other"), { right: [], explanation: "" });
  const poll = currentPoll(state);
  assert.doesNotMatch(JSON.stringify([...state.public.entries()]), /absorbs|right/);
  const body = resultBody(poll, { totals: [1, 1], answers: 2 }, solution);
  assert.deepEqual(readResult(body), { kind: "choice", ...{ question: GREEN.question, ask: { options: GREEN.options } }, named: false, ...solution, poll: "p", totals: [1, 1], answers: 2 });
  assert.equal("right" in resultBody(poll, { totals: [0, 0], answers: 0 }, { right: [], explanation: "" }), false);
});

test("two ends of one poll are one: the newest result counts", () => {
  const state = stateOf(asked(), POLL.ended("p"), POLL.shown("p", { ...GREEN, totals: [1, 0] }), POLL.shown("p", { ...GREEN, totals: [2, 0] }));
  assert.deepEqual(currentPoll(state)?.result?.totals, [2, 0]);
});

test("a result of an earlier version has as many answers as counts", () => {
  assert.equal(readResult({ poll: "p", ...GREEN, totals: [3, 1] })?.answers, 4);
  for (const strange of [
    { poll: "p", ...GREEN, totals: [1] },
    { poll: "p", ...GREEN, totals: [1, -1] },
    { poll: "x".repeat(65), ...GREEN, totals: [1, 1] },
    { poll: "p", ...GREEN, totals: [1, 1], answers: -1 },
    { poll: "p", ...GREEN, kind: "hologram", totals: [1, 1] },
    null,
    7,
    [],
  ]) {
    assert.equal(readResult(strange), null, JSON.stringify(strange));
  }
});

test("a poll of a kind or form that is not known is none", () => {
  for (const strange of [null, 7, {}, { ...GREEN, question: "" }, { ...GREEN, kind: "hologram" }, { ...GREEN, named: "yes" }]) {
    assert.equal(readPoll(strange), null, JSON.stringify(strange));
  }
  assert.equal(readPoll({ ...GREEN, named: true })?.named, true);
});

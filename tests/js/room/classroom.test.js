import assert from "node:assert/strict";
import { test } from "node:test";
import { LONGEST_QUESTION } from "../../../static/room/bodies.js";
import { Classroom, isSentAway } from "../../../static/room/classroom.js";
import { answersTo, askedPoll, currentPoll, lastResult, ownAnswer, tallyOf } from "../../../static/room/polls.js";
import { hasHandUp, keptQuestions, nameOf, openQuestions, raisedHands } from "../../../static/room/select.js";
import { setsOf } from "../../../static/room/sets.js";
import { stateOf } from "./kept.js";
import { POLL, toAll, toHosts } from "./messages.js";

/** A room of the library under the test's control. */
class FakeRoom extends EventTarget {
  waiting = [];
  posted = [];
  /** What was kept: key, body and options. @type {any[]} */
  keeps = [];
  state = stateOf();
  refreshed = 0;
  closed = 0;
  /** @type {Record<string, any[]>} */
  kept = { public: [], private: [] };
  refusal = null;
  /** Handlers, by audience. @type {Record<string, any>} */
  heard = {};
  /** What was asked of the history. @type {object[]} */
  read = [];
  full = false;
  role = "participant";

  #subscription() {
    const ready = this.refusal ? Promise.reject(this.refusal) : Promise.resolve();
    ready.catch(() => {});
    return { ready, close: () => (this.closed += 1) };
  }

  subscribe(handler, { audience = "public", last }) {
    this.heard[audience] = handler;
    for (const message of this.kept[audience].slice(-last)) handler(message);
    return this.#subscription();
  }

  private(handler) {
    this.queue = handler;
    return this.#subscription();
  }

  presence(handler) {
    this.present = handler;
    return this.#subscription();
  }

  async history({ audience = "public", after, limit = 500, types }) {
    this.read.push({ audience, after, types });
    const all = this.kept[audience].filter(
      ({ seq, type }) => seq > after && (types === undefined || types.includes(type)),
    );
    const messages = all.slice(0, limit);
    const next = all.length > limit ? messages.at(-1).seq : undefined;
    return { messages, head: this.kept[audience].at(-1)?.seq ?? 0, complete: true, next };
  }

  followState() {
    return this.#subscription();
  }

  /** The gateway has stored these. @param {...any} messages */
  store(...messages) {
    for (const message of messages) {
      const { audience } = message;
      const changes = this.state[audience].take(message);
      this.dispatchEvent(Object.assign(new Event("state"), { detail: { audience, changes } }));
    }
  }

  async keep(key, body, { audience = "public", type, of, ...rest }) {
    if (this.full) throw Object.assign(new Error(), { code: "outbox_full" });
    if (this.refused) throw Object.assign(new Error(), { code: this.refused });
    // What the gateway has not answered yet.
    await this.answer;
    this.keeps.push({ key, body, audience, type, ...(of ? { of } : {}), ...rest });
    const make = audience === "public" ? toAll : toHosts;
    const message = make(this.me, type, body, { keep: key, of, role: this.isHost ? "host" : "participant" });
    this.store(message);
    return { id: message.id, seq: message.seq, sent_at: message.sent_at };
  }

  /** What was kept under a key: the bodies. @param {string} key */
  bodies(key) {
    return this.keeps.filter((one) => one.key === key).map(({ body }) => body);
  }

  async doubt() {
    this.access = { name: "in", role: this.role };
    this.dispatchEvent(new Event("access"));
  }

  async post(body, options) {
    if (this.full) throw Object.assign(new Error(), { code: "outbox_full" });
    this.posted.push({ body, ...options });
    return { id: "id", seq: 90 + this.posted.length, sent_at: "2026-03-02T09:00:00Z" };
  }

  forget(id) {
    this.wait(...this.waiting.filter((post) => post.id !== id));
  }

  wait(...posts) {
    this.waiting = posts;
    this.dispatchEvent(new Event("waiting"));
  }
}

/** @param {string} me @param {FakeRoom} gatewayRoom @param {object} info */
function classroom(me, gatewayRoom, info = {}) {
  const role = me === "hana" ? "host" : "participant";
  const connection = new EventTarget();
  connection.state = { name: "connected", reason: "", detail: "" };
  connection.room = () => gatewayRoom;
  connection.now = () => NOW;
  connection.call = async () => ({ waiting: [] });
  Object.assign(gatewayRoom, { me, isHost: role === "host" });
  for (const kept of Object.values(gatewayRoom.state)) {
    kept.refresh = async () => {
      gatewayRoom.refreshed += 1;
      gatewayRoom.refresh?.();
    };
  }
  const leaving = new AbortController();
  const made = new Classroom({
    connection,
    info: { id: 7, role, closed_at: null, hosts: ["hana"], ...info },
    me,
    untilDone: (task) => task(),
    signal: leaving.signal,
  });
  made.claps = 0;
  made.addEventListener("clap", () => (made.claps += 1));
  return { room: made, connection, leaving };
}

/** The gateway's time. */
const NOW = Date.parse("2026-03-02T09:00:00Z");
const GREEN = { kind: "choice", question: "Why green?", ask: { options: ["Chlorophyll", "Paint"] }, named: false };
const PLAIN = { right: [], explanation: "" };
const ASKED = { question: GREEN.question, ...GREEN.ask };
const ENDLESS = { seconds: null, hidden: false };

const texts = ({ room }) => room.entries.map(({ text }) => text);
const settled = () => new Promise((resolve) => setTimeout(resolve));

test("a host at the desk hears everything, and each message once", async () => {
  const gatewayRoom = new FakeRoom();
  const early = toHosts("paul", "question", "before you came");
  gatewayRoom.kept.private.push(early);
  const { room } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  const hello = toAll("paul", "message", "hello");
  for (const heard of [gatewayRoom.heard.public, gatewayRoom.queue]) heard(hello);
  for (const heard of [gatewayRoom.heard.private, gatewayRoom.queue]) heard(early);
  assert.deepEqual(texts(room), ["hello"]);
  assert.equal(room.room.questions.length, 1);
  assert.equal(room.isLoaded, true);
});

test("a clap is seen once: not from the queue, and not mine when it comes back", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  const clap = toAll("paul", "clap", { page: "paul's" }, { seq: null });
  gatewayRoom.heard.public(clap);
  gatewayRoom.queue(clap);
  assert.equal(room.claps, 1);
  room.clap();
  assert.equal(room.claps, 2);
  const [{ body, type, importance }] = gatewayRoom.posted;
  assert.deepEqual([type, importance], ["clap", "instant"]);
  gatewayRoom.heard.public(toAll("hana", "clap", body, { seq: null }));
  gatewayRoom.heard.public(toAll("hana", "dance", {}, { seq: null }));
  assert.equal(room.claps, 2);
  room.clap();
  assert.equal(gatewayRoom.posted.length, 1);
});

test("what a participant does is kept under keys of their own, a vote only while votes are taken", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p"));
  const { room } = classroom("paul", gatewayRoom);
  await room.open({ asDesk: false });
  const poll = askedPoll(room.state);
  room.vote(poll, { option: 1 });
  room.raiseHand(true);
  room.ask("why?");
  await settled();
  assert.deepEqual(ownAnswer(room.state, poll, "paul")?.choice, { option: 1 });
  assert.equal(hasHandUp(room.state, "paul"), true);
  assert.deepEqual(
    keptQuestions(room.state).map(({ text }) => text),
    ["why?"],
  );
  const [vote, hand, question] = gatewayRoom.keeps;
  const about = { audience: "private" };
  assert.deepEqual(vote, { key: "vote:p", body: { poll: "p", option: 1 }, ...about, type: "vote", while: "voting:p" });
  assert.deepEqual(hand, { key: "hand", body: { up: true }, ...about, type: "hand" });
  assert.match(question.key, /^question:[0-9a-f-]{36}$/);
  room.raiseHand(false);
  await settled();
  assert.deepEqual(gatewayRoom.keeps.at(-1).body, null);
});

test("the longest question fits into a kept message, in any script", () => {
  // limits.kept_bytes, of which names, key and times take some.
  const most = 16_384 - 1_300;
  for (const letter of ["a", "가", "؟", "\n", "\u{1F600}"]) {
    const text = letter.repeat(LONGEST_QUESTION / letter.length);
    assert.ok(Buffer.byteLength(JSON.stringify({ text })) < most, letter);
  }
});

test("a vote that came too late is told as such, also while the poll is still in sight", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("p", ASKED));
  const { room } = classroom("paul", gatewayRoom);
  const poll = askedPoll(room.state);
  const refused = (code, id = "p") => ({
    ...{ id: "v", audience: "private", type: "vote", body: { poll: id, option: 1 }, state: "refused" },
    problem: { code },
  });
  assert.equal(room.isTooLate(poll), false);
  gatewayRoom.wait(refused("too_large"), refused("not_open", "other"));
  assert.equal(room.isTooLate(poll), false);
  gatewayRoom.wait(refused("not_open"));
  assert.equal(room.isTooLate(poll), true);
  assert.equal(room.choiceOnItsWay(poll), null);
  // Answers are taken again, and this one counts.
  gatewayRoom.wait(refused("not_open"), { ...refused("not_open", "other"), id: "o" });
  room.vote(poll, { option: 0 });
  assert.deepEqual([room.isTooLate(poll), gatewayRoom.waiting.map(({ id }) => id)], [false, ["o"]]);
});

test("what is on its way is shown at once", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  const poll = { id: "p", ...GREEN };
  const post = (type, body) => ({ id: type, audience: "private", type, body, state: "sending" });
  assert.equal(room.choiceOnItsWay(poll), null);
  assert.equal(room.handOnItsWay, null);
  gatewayRoom.wait(
    post("vote", { poll: "p", option: 1 }),
    post("hand", null),
    post("answer", { question: "q", text: "so" }),
    post("poll-closed", { poll: "p" }),
  );
  assert.deepEqual(room.choiceOnItsWay(poll), { option: 1 });
  assert.equal(room.handOnItsWay, false);
  gatewayRoom.wait(post("hand", null), post("hand", { up: true }));
  assert.equal(room.handOnItsWay, true);
  gatewayRoom.wait(post("answer", { question: "q", text: "so" }), post("poll-closed", { poll: "p" }));
  assert.equal(room.isDealtWith("q"), true);
  assert.equal(room.isDealtWith("other"), false);
  assert.equal(room.isEnding(poll), true);
});

test("who comes in as a host is heard as one, also in what does not say it", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  await room.open({ asDesk: false });
  gatewayRoom.present([
    { user: "hana", role: "host" },
    { user: "hugo", role: "host" },
    { user: "paul", role: "participant" },
  ]);
  gatewayRoom.heard.public(toAll("hugo", "poll", { question: "?", options: ["a", "b"] }, { role: null }));
  assert.equal(room.room.entries[0]?.sender, "hugo");
  assert.equal(room.presentParticipants, 1);
});

test("a host starts a poll: what is right is not in what all get, and its time runs from when it is there", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("old", ASKED), POLL.taken("old"), POLL.solved("old", { right: [0] }));
  const { room } = classroom("hana", gatewayRoom);
  room.startPoll({ ...GREEN, right: [0], explanation: "It absorbs red." }, { seconds: 30, hidden: true });
  await settled();
  const [old, ...others] = gatewayRoom.keeps.map(({ key, type, audience }) => [key.split(":")[0], type, audience]);
  assert.deepEqual(
    [old, ...others],
    [
      ["voting", "voting", "public"],
      ["poll", "poll", "public"],
      ["right", "poll-right", "private"],
      ["right", "poll-right", "private"],
      ["poll", "poll", "public"],
      ["voting", "voting", "public"],
    ],
  );
  const poll = currentPoll(room.state);
  assert.deepEqual([poll?.phase, poll?.hidden, poll?.until], ["open", true, NOW + 30_000]);
  const [, , , solved, asked] = gatewayRoom.keeps;
  assert.deepEqual(solved.body, { right: [0], explanation: "It absorbs red." });
  assert.deepEqual(asked.body, { kind: "choice", ...ASKED, named: false });
  assert.equal(new Set([solved, asked].map(({ key }) => key.split(":")[1])).size, 1);
});

test("a poll ends before its votes are counted, and all of them are", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p"), POLL.vote("paul", "p", { option: 0 }));
  gatewayRoom.store(POLL.solved("p", { right: [0], explanation: "so" }));
  const { room } = classroom("hana", gatewayRoom);
  // Stored while votes were taken, and not here yet.
  gatewayRoom.refresh = () => gatewayRoom.store(POLL.vote("mina", "p", { option: 1 }));
  let answer = () => {};
  gatewayRoom.answer = new Promise((resolve) => (answer = resolve));
  const ending = room.endPoll(currentPoll(room.state));
  await settled();
  assert.deepEqual([gatewayRoom.refreshed, room.isEnding({ id: "p" })], [0, true]);
  answer();
  await ending;
  assert.deepEqual(
    gatewayRoom.keeps.map(({ key, body }) => [key, body && body.totals]),
    [
      ["voting:p", null],
      ["result:p", [1, 1]],
    ],
  );
  const { result, phase } = currentPoll(room.state);
  assert.deepEqual([phase, result.answers, result.right, result.explanation], ["shown", 2, [0], "so"]);
  assert.equal(room.isEnding({ id: "p" }), false);
});

test("the end of a hidden poll shows nothing, until the host does", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p", { until: null, hidden: true }));
  const { room } = classroom("hana", gatewayRoom);
  await room.endPoll(currentPoll(room.state));
  assert.equal(currentPoll(room.state).phase, "ended");
  room.showResult(currentPoll(room.state));
  await settled();
  assert.equal(currentPoll(room.state).phase, "shown");
});

test("answers are hidden and shown on the wall, and taken longer, while the rest stays", async () => {
  const gatewayRoom = new FakeRoom();
  const until = new Date(NOW + 10_000).toISOString();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p", { until, hidden: false }));
  const { room } = classroom("hana", gatewayRoom);
  room.hideAnswers(currentPoll(room.state), true);
  await settled();
  assert.deepEqual(gatewayRoom.bodies("voting:p"), [{ until, hidden: true }]);
  room.extend(currentPoll(room.state), 30);
  await settled();
  // Unless another host has ended it meanwhile, which would open it again.
  assert.deepEqual(gatewayRoom.keeps.map((one) => one.while), ["voting:p", "voting:p"]);
  const later = new Date(NOW + 40_000).toISOString();
  assert.deepEqual(gatewayRoom.bodies("voting:p").at(-1), { until: later, hidden: true });
  gatewayRoom.store(POLL.ended("p"));
  room.takeAnswers({ ...currentPoll(room.state), hidden: true });
  await settled();
  assert.deepEqual(gatewayRoom.bodies("voting:p").at(-1), { until: null, hidden: true });
});

test("a poll whose time is over is ended by any host's page, once each, and not before", async () => {
  for (const [late, ends] of [
    [-1, 0],
    [500, 0],
    [1_500, 1],
  ]) {
    const gatewayRoom = new FakeRoom();
    const until = new Date(NOW - late).toISOString();
    gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p", { until, hidden: false }));
    const { room } = classroom("hana", gatewayRoom);
    const poll = currentPoll(room.state);
    room.endInTime(poll);
    room.endInTime(poll);
    await settled();
    assert.equal(gatewayRoom.bodies("voting:p").length, ends, `${late}`);
    assert.equal(gatewayRoom.bodies("result:p").length, ends, `${late}`);
  }
});

test("an end that is refused leaves the poll as it is", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p"));
  const { room } = classroom("hana", gatewayRoom);
  gatewayRoom.refused = "access_refused";
  await room.endPoll(currentPoll(room.state));
  assert.equal(currentPoll(room.state).phase, "open");
  assert.equal(room.isEnding({ id: "p" }), false);
});

test("an end that is refused at once is not tried again with every change", async () => {
  const gatewayRoom = new FakeRoom();
  const until = new Date(NOW - 2_000).toISOString();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p", { until, hidden: false }));
  const { room } = classroom("hana", gatewayRoom);
  let tries = 0;
  gatewayRoom.keep = () => {
    tries += 1;
    return tries < 10 ? Promise.reject(Object.assign(new Error(), { code: "kicked" })) : new Promise(() => {});
  };
  room.addEventListener("change", () => room.endInTime(currentPoll(room.state)));
  room.endInTime(currentPoll(room.state));
  await settled();
  assert.equal(tries, 1);
  // With more time it is over anew.
  gatewayRoom.store(POLL.taken("p", { until: new Date(NOW - 1_500).toISOString(), hidden: false }));
  await settled();
  assert.equal(tries, 2);
});

test("a result that is told anew is drawn anew", async () => {
  const gatewayRoom = new FakeRoom();
  const shown = (totals) => POLL.shown("p", { ...ASKED, totals });
  gatewayRoom.kept.public = [shown([1, 0]), toAll("paul", "message", "so few?")];
  const { room } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  const before = room.conversation.map(nameOf);
  assert.equal(nameOf(room.conversation[0]), before[0]);
  gatewayRoom.heard.public(shown([2, 1]));
  const [result, said] = room.conversation;
  assert.deepEqual([result.result.totals, nameOf(said)], [[2, 1], before[1]]);
  assert.notEqual(nameOf(result), before[0]);
  assert.notEqual(nameOf({ ...result, chosen: { option: 1 } }), nameOf(result));
});

test("what hosts have hidden is neither on the participants' pages nor on the wall, also if it was there before", async () => {
  for (const [me, asDesk, isSeen] of [
    ["paul", false, false],
    ["hana", false, false],
    ["hana", true, true],
  ]) {
    const gatewayRoom = new FakeRoom();
    const [rude, kind] = [toAll("mina", "message", "rude"), toAll("mina", "message", "kind")];
    gatewayRoom.kept.public = [rude, kind];
    const { room } = classroom(me, gatewayRoom);
    await room.open({ asDesk });
    const seen = () => room.conversation.map(({ text }) => text);
    assert.deepEqual(seen(), ["rude", "kind"]);
    const key = `hidden:${rude.seq}`;
    // Somebody's own entry of that name hides nothing.
    gatewayRoom.store(toAll("paul", "hidden", { seq: rude.seq }, { keep: key }));
    assert.deepEqual(seen(), ["rude", "kind"]);
    gatewayRoom.store(toAll("hana", "hidden", { seq: rude.seq }, { keep: key }));
    assert.deepEqual(seen(), isSeen ? ["rude", "kind"] : ["kind"], `${me} ${asDesk}`);
    gatewayRoom.store(toAll("hana", "hidden", null, { keep: key }));
    assert.deepEqual(seen(), ["rude", "kind"]);
  }
});

test("a question is done once its answer is stored, and not if that was refused", async () => {
  const gatewayRoom = new FakeRoom();
  const asked = toHosts("paul", "question", { text: "why?" }, { keep: "question:q" });
  const other = toHosts("paul", "question", { text: "how?" }, { keep: "question:r" });
  gatewayRoom.store(asked, other);
  const { room } = classroom("hana", gatewayRoom);
  const { post } = gatewayRoom;
  gatewayRoom.post = async () => {
    throw Object.assign(new Error(), { code: "too_large" });
  };
  room.answer({ id: "q", text: "why?" }, "so", () => {});
  await settled();
  assert.equal(openQuestions(room.state, room.room).length, 2);
  gatewayRoom.post = post;
  room.answer({ id: "q", text: "why?" }, "so");
  room.setAside({ id: "r" });
  await settled();
  assert.deepEqual(gatewayRoom.posted, [{ body: { text: "so", question: "q", quote: "why?" }, type: "answer" }]);
  assert.deepEqual(gatewayRoom.bodies("fate:q"), [{ question: "q", answer: 91 }]);
  assert.deepEqual(gatewayRoom.bodies("fate:r"), [{ question: "r", done: true }]);
  assert.equal(openQuestions(room.state, room.room).length, 0);
});

test("a hand that a host calls on goes down for everybody, and its owner is told to look", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(toHosts("paul", "hand", { up: true }, { keep: "hand", id: "h" }));
  const { room } = classroom("hana", gatewayRoom);
  room.callOn(raisedHands(room.state)[0]);
  await settled();
  const [{ key, body, of }] = gatewayRoom.keeps;
  assert.deepEqual([key, body, of], ["hand", null, "paul"]);
  assert.deepEqual(gatewayRoom.posted, [{ body: { hand: "h" }, type: "hand-taken" }]);
  assert.deepEqual(raisedHands(room.state), []);

  const seat = new FakeRoom();
  seat.store(toHosts("paul", "hand", { up: true }, { keep: "hand", id: "h" }));
  const { room: paul } = classroom("paul", seat);
  await paul.open({ asDesk: false });
  for (const hand of ["other", "h"]) seat.heard.public(toAll("hana", "hand-taken", { hand }));
  await settled();
  assert.equal(seat.refreshed, 1);
});

test("a host puts a poll away, and takes an answer away", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("p", ASKED), POLL.taken("p"), POLL.vote("paul", "p", { option: 0 }));
  const { room } = classroom("hana", gatewayRoom);
  const poll = currentPoll(room.state);
  room.removeAnswer(poll, answersTo(room.state, poll)[0]);
  await settled();
  assert.deepEqual(answersTo(room.state, poll), []);
  room.putAway(poll);
  await settled();
  assert.equal(currentPoll(room.state), null);
});

test("prepared questions are kept, edited, copied from another room, and dropped", async () => {
  const gatewayRoom = new FakeRoom();
  const { room, connection } = classroom("hana", gatewayRoom);
  const question = { ...GREEN, ...PLAIN, ...ENDLESS };
  const id = room.makeSet({ title: "7b", questions: [question] });
  await settled();
  const sets = () => setsOf(room.state.private.entries("set:"));
  const [set] = sets();
  assert.deepEqual([set.id, set.title, set.questions.length], [id, "7b", 1]);
  room.prepare(id, { ...question, place: 1, question: "And why red?" });
  room.prepare(id, { ...set.questions[0], question: "Why so green?" });
  room.nameSet({ id, title: "7c" });
  await settled();
  assert.deepEqual(
    sets().map(({ title, questions }) => [title, questions.map((one) => one.question)]),
    [["7c", ["Why so green?", "And why red?"]]],
  );
  room.unprepare(id, sets()[0].questions[0]);
  await settled();
  assert.equal(sets()[0].questions.length, 1);
  room.dropSet(sets()[0]);
  await settled();
  assert.deepEqual([...room.state.private.entries("set:")], []);

  const there = [
    toHosts("hana", "poll-set", { title: "8a" }, { keep: "set:s" }),
    toHosts("hana", "poll-set", { place: 0, ...ASKED }, { keep: "set:s:q" }),
    toHosts("paul", "question", { text: "?" }, { keep: "question:q" }),
  ];
  const asked = [];
  connection.call = async (method, path) => {
    asked.push(path);
    const isFirst = asked.length === 1;
    return { state: isFirst ? there.slice(0, 1) : there.slice(1), seq: 41, whole: isFirst, complete: !isFirst };
  };
  const copied = setsOf((await room.readKept(9, "private")).entries("set:"));
  assert.deepEqual(
    copied.map(({ title, questions }) => [title, questions.map((one) => one.question)]),
    [["8a", ["Why green?"]]],
  );
  assert.match(asked[1], /whole=true&after=41/);
});

test("of many votes the oldest make room, but not that of a poll that stands", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  gatewayRoom.store(POLL.asked("0", ASKED), POLL.taken("0"));
  for (let n = 0; n < 61; n += 1) gatewayRoom.store(POLL.vote("paul", `${n}`, { option: 0 }));
  room.vote({ id: "new" }, { option: 1 });
  await settled();
  assert.deepEqual(
    gatewayRoom.keeps.filter(({ body }) => body === null).map(({ key }) => key),
    ["vote:1"],
  );
});

test("a refused subscription and a lost gatewayRoom are told", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.refusal = { code: "removed", detail: "you were removed" };
  const { room, connection } = classroom("paul", gatewayRoom);
  assert.equal(room.status.name, "live");
  connection.state = { name: "waiting", reason: "", detail: "" };
  assert.equal(room.status.name, "down");
  await room.open({ asDesk: false });
  assert.deepEqual(room.status, {
    name: "refused",
    why: { code: "removed", detail: "you were removed" },
  });
});

test("a closed room is read, and nothing is followed", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.kept.public.push(toAll("paul", "message", "the last word"));
  gatewayRoom.kept.private.push(toHosts("paul", "question", "why?"));
  const { room, connection } = classroom("hana", gatewayRoom, { closed_at: "2026-03-02T09:00:00Z" });
  const how = toHosts("paul", "question", { text: "how?" }, { keep: "question:q" });
  const result = POLL.shown("p", { ...ASKED, totals: [1, 0] });
  connection.call = async (_, path) => {
    const state = path.includes("audience=private") ? [how] : [result];
    return { state, seq: 2_000, whole: true, complete: true };
  };
  await room.open({ asDesk: true });
  assert.deepEqual(texts(room), ["the last word"]);
  assert.deepEqual(
    openQuestions(room.state, room.room).map(({ text }) => text),
    ["why?", "how?"],
  );
  assert.deepEqual(lastResult(room.state)?.totals, [1, 0]);
  assert.equal(room.status.name, "closed");
  assert.equal(gatewayRoom.heard.public, undefined);
});

test("one looks further back page by page, to the beginning", async () => {
  const gatewayRoom = new FakeRoom();
  for (let seq = 1; seq <= 1_250; seq += 1) {
    gatewayRoom.kept.public.push(toAll("paul", "message", `${seq}`, { seq }));
  }
  const { room } = classroom("paul", gatewayRoom);
  await room.open({ asDesk: false });
  assert.equal(room.room.entries.length, 1_000);
  assert.equal(room.hasEarlier, true);
  await room.readEarlier();
  assert.equal(room.room.entries[0].text, "51");
  await room.readEarlier();
  assert.equal(room.room.entries[0].text, "1");
  assert.equal(room.hasEarlier, false);
  assert.equal(room.room.entries.length, 1_250);
});

test("what is deleted by request while a page is open goes from view", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const gatewayRoom = new FakeRoom();
  const rude = toAll("paul", "message", "a secret");
  const asked = toHosts("paul", "question", { text: "a secret" });
  gatewayRoom.kept = { public: [rude, toAll("mina", "message", "hello")], private: [asked] };
  const { room } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  const texts = () => [...room.conversation, ...room.room.questions].map(({ text }) => text);
  assert.deepEqual(texts(), ["a secret", "hello", "a secret"]);
  const gone = ({ seq, audience }) => ({ ...rude, audience, seq, sender: "", role: null, type: "deleted", body: null });
  for (const message of [rude, asked]) {
    const kept = gatewayRoom.kept[message.audience];
    kept[kept.indexOf(message)] = gone(message);
    // Only the gateway's own word counts.
    gatewayRoom.heard[message.audience]({ ...gone(message), seq: null, sender: "paul" });
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(texts().length, 3);
  for (const message of [rude, asked]) gatewayRoom.heard[message.audience]({ ...gone(message), seq: null });
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(texts(), ["hello"]);
  assert.equal(gatewayRoom.refreshed, 4);
});

test("who leaves hears nothing more", async () => {
  const gatewayRoom = new FakeRoom();
  const { room, leaving } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  leaving.abort();
  assert.equal(gatewayRoom.closed, 6);
});

/** @param {FakeRoom} gatewayRoom @param {number} count */
function chat(gatewayRoom, count) {
  for (let n = 0; n < count; n += 1) {
    gatewayRoom.kept.public.push(toAll("paul", "message", "so", { seq: gatewayRoom.kept.public.length + 1 }));
  }
}

test("an open poll, its votes, hands and questions are there however much was said since", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.store(POLL.asked("ended", ASKED), POLL.taken("ended"), POLL.ended("ended"), POLL.shown("ended", { ...ASKED, totals: [1, 0] }));
  gatewayRoom.store(POLL.asked("open", ASKED), POLL.taken("open"), POLL.vote("paul", "open", { option: 1 }));
  gatewayRoom.store(toHosts("mina", "hand", { up: true }, { keep: "hand" }));
  gatewayRoom.store(toHosts("mina", "question", { text: "why?" }, { keep: "question:why" }));
  chat(gatewayRoom, 10_000);
  for (let n = 0; n < 6_000; n += 1) gatewayRoom.store(POLL.vote(`pupil ${n}`, "open", { option: 0 }));

  const { room: desk } = classroom("hana", gatewayRoom);
  await desk.open({ asDesk: true });
  const poll = askedPoll(desk.state);
  assert.equal(poll.id, "open");
  assert.deepEqual(tallyOf(poll, answersTo(desk.state, poll)).totals, [6_000, 1]);
  assert.deepEqual(
    raisedHands(desk.state).map(({ sender }) => sender),
    ["mina"],
  );
  assert.deepEqual(
    openQuestions(desk.state, desk.room).map(({ text }) => text),
    ["why?"],
  );

  const { room: seat } = classroom("paul", gatewayRoom);
  await seat.open({ asDesk: false });
  assert.equal(askedPoll(seat.state)?.id, "open");
  // The conversation begins where it has no hole; older messages are read on request.
  assert.equal(seat.conversation.length, 1_000);
  assert.equal(seat.hasEarlier, true);
  // Nothing is read by type.
  assert.deepEqual(gatewayRoom.read, []);
});

test("what will not be sent is told, to who wrote it or to the page", async () => {
  const gatewayRoom = new FakeRoom();
  gatewayRoom.full = true;
  const { room } = classroom("paul", gatewayRoom);
  const told = [];
  room.addEventListener("unkept", () => told.push("page"));
  room.say("hello", () => told.push("say"));
  room.ask("why?", () => told.push("ask"));
  room.raiseHand(true);
  await settled();
  assert.deepEqual(told, ["say", "ask", "page"]);
});

test("a role that has changed is told once the room itself says so", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  let changes = 0;
  room.addEventListener("moved", () => (changes += 1));
  await room.open({ asDesk: false });
  const present = (role) => gatewayRoom.present([{ user: "paul", role }]);
  // A list that is older than the page.
  present("host");
  await settled();
  assert.equal(changes, 0);
  present("participant");
  gatewayRoom.role = "host";
  present("host");
  present("host");
  await settled();
  assert.equal(changes, 1);
});

test("who was removed may come back, who was sent away by an admin may not", () => {
  const refused = (code) => ({ name: "refused", why: { code, detail: "" } });
  assert.equal(isSentAway(refused("removed")), true);
  assert.equal(isSentAway(refused("access_refused")), true);
  assert.equal(isSentAway(refused("kicked")), false);
  assert.equal(isSentAway({ name: "live", why: { code: "", detail: "" } }), false);
});

test("a page that is for another place in the room is told so", () => {
  for (const [access, expected] of [
    [{ name: "in", role: "host" }, 1],
    [{ name: "in", role: "participant" }, 0],
    [{ name: "closed", role: null }, 1],
    [{ name: "out", role: null }, 0],
  ]) {
    const gatewayRoom = new FakeRoom();
    const { room } = classroom("paul", gatewayRoom);
    let moved = 0;
    room.addEventListener("moved", () => (moved += 1));
    gatewayRoom.access = access;
    gatewayRoom.dispatchEvent(new Event("access"));
    assert.equal(moved, expected, access.name);
  }
});

test("a page can be left unless something would be lost with it", () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  const post = (state, saved) => ({ id: "l", audience: "public", type: "message", state, saved });
  for (const [state, saved, expected] of [
    ["sending", true, true],
    ["sending", false, false],
    ["waiting", false, false],
    ["confirmed", false, true],
    ["refused", false, true],
  ]) {
    gatewayRoom.wait(post(state, saved));
    assert.equal(room.isSafe, expected, `${state} ${saved}`);
  }
});

test("what hosts show again is read by a page that came while it was hidden, and by no other", async () => {
  const gateway = new FakeRoom();
  const said = toAll("minsu", "message", "hello");
  const hides = toAll("hana", "hidden", { seq: said.seq }, { keep: `hidden:${said.seq}`, role: "host" });
  gateway.kept.public = [{ ...said, sender: "", role: null, type: "hidden", body: null }, hides];
  gateway.state.public.take(hides);
  const { room } = classroom("suji", gateway);
  await room.open({ asDesk: false });
  assert.deepEqual(room.conversation, []);
  gateway.kept.public = [said, hides];
  gateway.store(toAll("hana", "hidden", null, { keep: `hidden:${said.seq}`, role: "host" }));
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(room.conversation.map(({ text }) => text), ["hello"]);
  const asked = gateway.read.length;
  for (const body of [{ seq: said.seq }, null]) {
    gateway.store(toAll("hana", "hidden", body, { keep: `hidden:${said.seq}`, role: "host" }));
  }
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(gateway.read.length, asked);
  assert.deepEqual(room.conversation.map(({ text }) => text), ["hello"]);
});

test("a new title is taken from hosts alone", async () => {
  const gateway = new FakeRoom();
  const { room } = classroom("suji", gateway, { title: "Leaves" });
  await room.open({ asDesk: false });
  let renamed = 0;
  room.addEventListener("renamed", () => (renamed += 1));
  for (const [who, body] of [["minsu", { title: "Ha" }], ["hana", { title: 7 }], ["hana", { title: "Roots" }]]) {
    gateway.heard.public(toAll(who, "room-renamed", body, { seq: null }));
  }
  assert.deepEqual([room.info.title, renamed], ["Roots", 1]);
});

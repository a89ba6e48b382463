import assert from "node:assert/strict";
import { test } from "node:test";
import { Classroom, isSentAway } from "../../../static/room/classroom.js";
import { openPoll, openQuestions, raisedHands, tally } from "../../../static/room/select.js";
import { toAll, toHosts } from "./messages.js";

/** A room of the library under the test's control. */
class FakeRoom extends EventTarget {
  waiting = [];
  posted = [];
  asked = [];
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

  async doubt() {
    this.access = { name: "in", role: this.role };
    this.dispatchEvent(new Event("access"));
  }

  async post(body, options) {
    if (this.full) throw Object.assign(new Error(), { code: "outbox_full" });
    this.posted.push({ body, ...options });
  }

  async ask(body, options) {
    if (this.full) throw Object.assign(new Error(), { code: "outbox_full" });
    this.asked.push({ body, ...options });
    return { id: options.id, seq: 90 + this.asked.length, sent_at: "2026-03-02T09:00:00Z" };
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

test("what a participant asks counts as soon as it is answered for", async () => {
  const gatewayRoom = new FakeRoom();
  const poll = toAll("hana", "poll", { question: "?", options: ["a", "b"] });
  gatewayRoom.kept.public.push(poll);
  const { room } = classroom("paul", gatewayRoom);
  await room.open({ asDesk: false });
  const asked = openPoll(room.room);
  room.vote(asked, 1);
  room.raiseHand(true);
  room.ask("why?");
  await settled();
  assert.deepEqual(tally(room.room, asked), [0, 1]);
  assert.equal(room.room.questions[0].text, "why?");
  assert.deepEqual(
    gatewayRoom.asked.map(({ type }) => type),
    ["vote", "hand", "question"],
  );
});

test("what an earlier page of mine left and this one has sent is read from the history", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  await room.open({ asDesk: false });
  gatewayRoom.wait({ id: "left", audience: "private", type: "question", body: "why?", state: "sending" });
  gatewayRoom.kept.private.push(toHosts("paul", "question", "why?", { id: "left", seq: 5 }));
  // Answered before the page has learned that the other post is gone.
  room.ask("how?");
  await settled();
  gatewayRoom.wait();
  await settled();
  assert.deepEqual(
    room.room.questions.map(({ text }) => text),
    ["why?", "how?"],
  );
});

test("what is on its way is shown at once", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("paul", gatewayRoom);
  const poll = { id: "p", options: ["a", "b"] };
  const post = (type, body) => ({ id: type, audience: "private", type, body, state: "sending" });
  assert.equal(room.choiceOnItsWay(poll), null);
  assert.equal(room.handOnItsWay, null);
  gatewayRoom.wait(
    post("vote", { poll: "p", option: 1 }),
    post("hand", { up: false }),
    post("answer", { question: "q", text: "so" }),
    post("poll-closed", { poll: "p" }),
  );
  assert.equal(room.choiceOnItsWay(poll), 1);
  assert.equal(room.handOnItsWay, false);
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
  assert.equal(openPoll(room.room)?.sender, "hugo");
  assert.equal(room.presentParticipants, 1);
});

test("a host's acts are messages", async () => {
  const gatewayRoom = new FakeRoom();
  const { room } = classroom("hana", gatewayRoom);
  const poll = { id: "p", question: "?", options: ["a", "b"] };
  room.say("hello");
  room.startPoll("?", ["a", "b"]);
  room.endPoll(poll, [1, 0]);
  room.answer({ id: "q", text: "why?" }, "so");
  room.callOn({ id: "h" });
  room.setAside({ id: "q" });
  assert.deepEqual(gatewayRoom.posted, [
    { body: "hello" },
    { body: { question: "?", options: ["a", "b"] }, type: "poll" },
    { body: { poll: "p", question: "?", options: ["a", "b"], totals: [1, 0] }, type: "poll-closed" },
    { body: { text: "so", question: "q", quote: "why?" }, type: "answer" },
    { body: { hand: "h" }, type: "hand-taken" },
  ]);
  assert.deepEqual(gatewayRoom.asked[0].body, { question: "q" });
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
  const { room } = classroom("hana", gatewayRoom, { closed_at: "2026-03-02T09:00:00Z" });
  await room.open({ asDesk: true });
  assert.deepEqual(texts(room), ["the last word"]);
  assert.equal(room.room.questions.length, 1);
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

test("who leaves hears nothing more", async () => {
  const gatewayRoom = new FakeRoom();
  const { room, leaving } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  leaving.abort();
  assert.equal(gatewayRoom.closed, 4);
});

/** @param {FakeRoom} gatewayRoom @param {number} count */
function chat(gatewayRoom, count) {
  for (let n = 0; n < count; n += 1) {
    gatewayRoom.kept.public.push(toAll("paul", "message", "so", { seq: gatewayRoom.kept.public.length + 1 }));
  }
}

test("an open poll, its votes, hands and questions are found however much was said since", async () => {
  const gatewayRoom = new FakeRoom();
  const say = (audience, sender, type, body, id) => {
    const stream = gatewayRoom.kept[audience];
    const make = audience === "public" ? toAll : toHosts;
    stream.push(make(sender, type, body, { id, seq: stream.length + 1 }));
  };
  const ask = { question: "?", options: ["a", "b"] };
  say("public", "hana", "poll", ask, "ended");
  say("public", "hana", "poll-closed", { ...ask, poll: "ended", totals: [1, 0] });
  say("private", "paul", "vote", { poll: "ended", option: 0 });
  say("public", "hana", "poll", ask, "open");
  say("private", "paul", "vote", { poll: "open", option: 1 });
  say("private", "mina", "hand", { up: true }, "mina's");
  say("private", "paul", "hand", { up: true }, "paul's");
  say("private", "mina", "question", "why?", "why");
  say("private", "mina", "question", "how?", "how");
  say("public", "hana", "hand-taken", { hand: "paul's" });
  say("public", "hana", "answer", { text: "so", question: "how", quote: "how?" });
  chat(gatewayRoom, 2_500);
  for (let n = 0; n < 6_000; n += 1) say("private", `pupil ${n}`, "vote", { poll: "open", option: 0 });

  const { room: desk } = classroom("hana", gatewayRoom);
  await desk.open({ asDesk: true });
  const poll = openPoll(desk.room);
  assert.equal(poll.id, "open");
  assert.deepEqual(tally(desk.room, poll), [6_000, 1]);
  assert.deepEqual(
    raisedHands(desk.room).map(({ sender }) => sender),
    ["mina"],
  );
  assert.deepEqual(
    openQuestions(desk.room).map(({ text }) => text),
    ["why?"],
  );

  const { room: seat } = classroom("paul", gatewayRoom);
  await seat.open({ asDesk: false });
  assert.equal(openPoll(seat.room)?.id, "open");
  // The conversation begins where it has no hole; older messages are read on request.
  assert.equal(seat.conversation.length, 1_000);
  assert.equal(seat.hasEarlier, true);
});

test("what is here from the beginning is not read again", async () => {
  const gatewayRoom = new FakeRoom();
  chat(gatewayRoom, 10);
  const { room } = classroom("hana", gatewayRoom);
  await room.open({ asDesk: true });
  assert.deepEqual(gatewayRoom.read, []);
});

test("a poll that has ended never seems to be open while the room is read", async () => {
  const gatewayRoom = new FakeRoom();
  const ask = { question: "?", options: ["a", "b"] };
  gatewayRoom.kept.public.push(toAll("hana", "poll", ask, { id: "p", seq: 1 }));
  for (let n = 0; n < 600; n += 1) {
    gatewayRoom.kept.public.push(toAll("hana", "hand-taken", { hand: `${n}` }, { seq: n + 2 }));
  }
  gatewayRoom.kept.public.push(
    toAll("hana", "poll-closed", { ...ask, poll: "p", totals: [0, 0] }, { seq: 602 }),
  );
  chat(gatewayRoom, 1_000);
  const { room } = classroom("paul", gatewayRoom);
  let wasOpen = false;
  room.addEventListener("change", () => (wasOpen ||= openPoll(room.room) !== null));
  await room.open({ asDesk: false });
  assert.equal(wasOpen, false);
  assert.equal(room.room.finished.has("p"), true);
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

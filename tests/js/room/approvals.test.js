import assert from "node:assert/strict";
import { test } from "node:test";
import { Approvals } from "../../../static/room/approvals.js";
import { emptyRoom, reduce } from "../../../static/room/state.js";
import { nameOf, withWaiting } from "../../../static/room/select.js";

const ID = "4e4a66f8-38bd-4cb6-9d63-4a3a2ac6e2f1";

function place(seq, id = `id-${seq}`) {
  return { id, seq, sender: "", role: null, type: "pending", body: null, audience: "public", sent_at: "2026-05-04T12:00:00Z" };
}

function said(seq, body, rest = {}) {
  return { ...place(seq), sender: "bob", role: "participant", type: "message", body, ...rest };
}

/** Approvals whose gateway has these messages that wait. */
function approvals(isHost, waiting = []) {
  const calls = [];
  const gateway = { waiting, failure: null };
  const made = new Approvals({
    isHost,
    async call(method, query, body) {
      calls.push(`${method} ${query}`);
      if (gateway.failure) throw gateway.failure;
      if (method === "GET") {
        const after = Number(query.split("=")[1]);
        const rest = gateway.waiting.filter(({ seq }) => seq > after);
        return rest.length > 2 ? { waiting: rest.slice(0, 2), next: rest[1].seq } : { waiting: rest };
      }
      const places = [...(body.approve ?? []), ...(body.refuse ?? [])];
      gateway.waiting = gateway.waiting.filter(({ seq }) => !places.includes(seq));
      return { decided: places.map((one) => ({ place: one, fate: "approved" })) };
    },
    changed: () => {},
    run: (task) => task.catch(() => {}),
  });
  return { made, calls, gateway, settled: () => new Promise((resolve) => setTimeout(resolve)) };
}

const seqs = (messages) => messages.map(({ seq }) => seq);

test("a host asks for all that waits, page by page, and again at each place", async () => {
  const { made, gateway, settled } = approvals(true, [said(1, "a"), said(2, "b"), said(3, "c")]);
  made.begin(false);
  await settled();
  assert.deepEqual(seqs(made.waiting), [1, 2, 3]);
  gateway.waiting.push(said(4, "d"));
  made.hear(place(4));
  await settled();
  assert.deepEqual(seqs(made.waiting), [1, 2, 3, 4]);
});

test("a participant asks for their own places alone", async () => {
  const { made, calls, gateway, settled } = approvals(false);
  made.begin(false);
  made.hear(place(1));
  await settled();
  assert.deepEqual(calls, []);
  made.own([{ id: ID.toUpperCase() }]);
  gateway.waiting = [said(2, "mine", { id: ID })];
  made.hear(place(2, ID));
  await settled();
  assert.deepEqual(seqs(made.waiting), [2]);
});

test("who comes in late asks once, if the room has an order or a place", async () => {
  for (const [isOrdered, places, asked] of [[false, [], 0], [true, [], 1], [false, [1, 2], 1]]) {
    const { made, calls, settled } = approvals(false);
    for (const seq of places) made.hear(place(seq));
    made.begin(isOrdered);
    await settled();
    assert.equal(calls.length, asked);
  }
});

test("what is decided waits no longer, and a refusal is told to its author alone", async () => {
  for (const isHost of [true, false]) {
    const { made, settled } = approvals(isHost, [said(1, "a"), said(2, "b")]);
    made.begin(true);
    await settled();
    made.hear(said(3, "a", { place: 1 }));
    made.hear({ ...place(4), type: "refused", sender: "anna", place: 2 });
    assert.deepEqual(seqs(made.waiting), []);
    assert.deepEqual(seqs(made.refused), isHost ? [] : [2]);
  }
});

test("many are decided in several calls, and what failed is asked for again", async () => {
  const many = Array.from({ length: 60 }, (_, index) => said(index + 1, "x"));
  const { made, calls, gateway, settled } = approvals(true, many);
  await made.decide("approve", many);
  assert.equal(calls.filter((call) => call.startsWith("POST")).length, 2);
  gateway.failure = new Error("away");
  await assert.rejects(made.decide("refuse", [said(61, "y")]), /away/);
  gateway.failure = null;
  made.begin(false);
  await settled();
  assert.deepEqual(made.waiting, []);
});

test("what was approved stands where it waited, under its own number", () => {
  let room = emptyRoom(["anna"]);
  for (const message of [said(1, "first"), place(2), said(3, "third"), said(4, "second", { place: 2 })]) {
    room = reduce(room, message);
  }
  assert.deepEqual(room.entries.map(({ text }) => text), ["first", "second", "third"]);
  assert.deepEqual(seqs(room.entries), [1, 4, 3]);
  // Once more, as after a reload.
  assert.equal(reduce(room, said(4, "second", { place: 2 })), room);
});

test("an author sees what waits, and what was refused, where it was said", () => {
  const room = [said(1, "first"), said(4, "fourth")].reduce(reduce, emptyRoom([]));
  const shown = withWaiting(room.entries, { waiting: [said(3, "waits")], refused: [said(2, { text: "no" }), said(5, 7)] });
  assert.deepEqual(shown.map(({ kind, text, isRefused }) => [kind, text, isRefused]), [
    ["text", "first", undefined],
    ["waits", "no", true],
    ["waits", "waits", false],
    ["text", "fourth", undefined],
  ]);
  assert.notEqual(nameOf({ ...shown[1] }), nameOf({ ...shown[1], isRefused: false }));
});

test("nothing is done to a conversation in which nothing waits", () => {
  const { entries } = reduce(emptyRoom([]), said(1, "first"));
  assert.equal(withWaiting(entries, { waiting: [], refused: [] }), entries);
});

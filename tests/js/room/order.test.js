import assert from "node:assert/strict";
import { test } from "node:test";
import { Order } from "../../../static/room/order.js";
import { stateOf } from "./kept.js";

/** A room of the library, as far as Order uses it. */
function gatewayRoom({ settings = null, muted = [] } = {}) {
  const kept = [];
  return Object.assign(new EventTarget(), {
    kept,
    waiting: [],
    followed: [],
    followState(audience) {
      this.followed.push(audience);
      return { close: () => this.followed.splice(this.followed.indexOf(audience), 1) };
    },
    keep(key, body, options) {
      kept.push([key, body, options]);
      return Promise.resolve();
    },
    said: [],
    post(...what) {
      this.said.push(what);
      return Promise.resolve();
    },
    state: {
      public: { get: (key) => (key === "settings" && settings ? { body: settings } : null) },
      private: { entries: () => muted },
    },
  });
}

function order(room, isHost = true) {
  const ending = new AbortController();
  let changes = 0;
  const made = new Order({ gatewayRoom: room, isHost, isReadOnly: false, signal: ending.signal }, () => (changes += 1));
  return { order: made, end: () => ending.abort(), changes: () => changes };
}

test("a room without an order lets everybody write as they like", () => {
  const { order: calm } = order(gatewayRoom());
  assert.deepEqual(calm.settings, { chat: true, slow: 0, approve: false });
  assert.deepEqual(calm.muted, []);
});

test("participants follow what is public only, and nobody follows longer than the page", () => {
  for (const [isHost, followed] of [[true, ["public", "private"]], [false, ["public"]]]) {
    const room = gatewayRoom();
    const { end, changes } = order(room, isHost);
    assert.deepEqual(room.followed, followed);
    room.dispatchEvent(new Event("state"));
    assert.equal(changes(), 1);
    end();
    room.dispatchEvent(new Event("state"));
    assert.equal(changes(), 1);
    assert.deepEqual(room.followed, []);
  }
});

test("what is on its way counts already, what was refused does not", () => {
  const room = gatewayRoom({ settings: { chat: false, slow: 10, approve: false }, muted: [{ key: "muted", author: "mina" }] });
  const { order: desk } = order(room);
  assert.deepEqual(desk.settings, { chat: false, slow: 10, approve: false });
  room.waiting = [
    { keep: "settings", body: { chat: true, slow: 10, approve: false }, state: "sending" },
    { keep: "settings", body: { chat: false, slow: 60, approve: false }, state: "refused" },
    { keep: "muted", of: "mina", body: null, state: "waiting" },
    { keep: "muted", of: "paul", body: { user: "paul" }, state: "sending" },
  ];
  assert.deepEqual(desk.settings, { chat: true, slow: 10, approve: false });
  assert.deepEqual(desk.muted, ["paul"]);
  desk.set({ slow: 30 });
  assert.deepEqual(room.kept, [["settings", { chat: true, slow: 30, approve: false }, { type: "settings" }]]);
});

test("a name that no key can have is muted, and every entry that mutes somebody is cleared", () => {
  const room = gatewayRoom({
    muted: [{ key: "muted", author: "다은" }, { key: "muted:paul", author: null }, { key: "muted", author: "paul" }],
  });
  const { order: desk } = order(room);
  assert.deepEqual(desk.muted, ["다은", "paul"]);
  desk.mute("나윤");
  desk.unmute("paul");
  assert.deepEqual(room.kept, [
    ["muted", { user: "나윤" }, { audience: "private", type: "muted", of: "나윤" }],
    ["muted:paul", null, { audience: "private", type: "muted" }],
    ["muted", null, { audience: "private", type: "muted", of: "paul" }],
  ]);
});

test("when somebody was muted all are told to look, and not who it was", async () => {
  const room = gatewayRoom({ muted: [{ key: "muted", author: "다은" }] });
  const { order: desk } = order(room);
  desk.mute("나윤");
  desk.unmute("다은");
  desk.set({ chat: false });
  assert.deepEqual(room.said, []);
  await null;
  const look = [{}, { type: "look", importance: "instant" }];
  assert.deepEqual(room.said, [look, look]);
});

test("a participant's page knows that its user is muted, by either key, and of nobody else", () => {
  const kept = (...messages) =>
    messages.map((fields, place) => ({ seq: place + 1, role: "host", sender: "hana", audience: "private", body: {}, ...fields }));
  for (const [messages, isMuted] of [
    [kept({ keep: "muted", of: "paul" }), true],
    [kept({ keep: "muted:paul" }), true],
    [kept({ keep: "muted", of: "paul" }, { keep: "muted", of: "paul", body: null }), false],
    [kept({ keep: "muted", of: "mina" }, { keep: "muted:mina" }), false],
    [kept({ keep: "muted", role: "participant", sender: "mina" }), false],
  ]) {
    const room = Object.assign(gatewayRoom(), { state: stateOf(...messages) });
    assert.equal(order(room, false).order.isMuted("paul"), isMuted, JSON.stringify(messages));
  }
});

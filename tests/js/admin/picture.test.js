import assert from "node:assert/strict";
import test from "node:test";
import { AT, condition, Picture } from "../../../static/admin/picture.js";

/** @param {string} gateway @param {object} known */
function state(gateway, { at = 1000, connections = 0, p99 = null, events = [], ...rest } = {}) {
  const sample = [at, connections, 0, 0, null, p99, 0];
  return {
    gateway,
    sample,
    started_at: 0,
    draining: false,
    topics: 0,
    nodes: [],
    feeds: [],
    problems: [],
    events,
    ...rest,
  };
}

/** @param {object[]} gateways @param {object} missing */
const told = (gateways, missing = {}) => ({ own: "a", gateways, missing });

test("numbers of all gateways are added, of latencies the worst counts", () => {
  const picture = new Picture();
  picture.take(told([state("a", { connections: 3, p99: 0.2 }), state("b", { connections: 4 })]));
  assert.equal(picture.total(AT.connections), 7);
  assert.equal(picture.worst(AT.p99), 0.2);
  assert.equal(picture.worst(AT.p50), null);
});

test("the past comes first, then a point a second; a gateway without one has a gap", () => {
  const picture = new Picture();
  const past = [[990, 1, 0, 0, null, null, 0]];
  picture.take(told([state("a", { past, connections: 2 })]));
  picture.take(
    told([state("a", { at: 1001, connections: 3 }), state("b", { at: 1001, connections: 9 })]),
  );
  assert.deepEqual(picture.gateways, ["a", "b"]);
  assert.deepEqual(picture.series(AT.connections), [
    [990, 1000, 1001],
    [1, 2, 3],
    [null, null, 9],
  ]);
});

test("hours have the lines of the gateways that are shown, in the same order", () => {
  const picture = new Picture();
  picture.take(told([state("a"), state("b")]));
  const past = { b: [[600, 7, 0, 0, null, null, 0]], a: [[540, 1, 0, 0, null, null, 0]], gone: [] };
  assert.deepEqual(picture.seriesOf(/** @type {any} */ (past), AT.connections), [
    [540, 600],
    [1, null],
    [null, 7],
  ]);
});

test("what is older than a quarter of an hour is forgotten, a gateway that is gone for so long too", () => {
  const picture = new Picture();
  picture.take(told([state("a", { at: 1000 }), state("b", { at: 1000 })]));
  picture.take(told([state("a", { at: 1899 })]));
  assert.deepEqual(picture.gateways, ["a", "b"]);
  picture.take(told([state("a", { at: 1900 })]));
  assert.deepEqual(picture.gateways, ["a"]);
  assert.deepEqual(picture.series(AT.connections)[0], [1899, 1900]);
});

test("an event is shown once, however often it is told, the newest first", () => {
  const picture = new Picture();
  const event = (/** @type {number} */ number, /** @type {number} */ at) => ({
    number,
    at,
    kind: "close",
    code: "left",
    detail: "",
  });
  picture.take(
    told([
      state("a", { events: [event(1, 10), event(2, 12)] }),
      state("b", { events: [event(1, 11)] }),
    ]),
  );
  picture.take(told([state("a", { events: [event(2, 12), event(3, 13)] })]));
  assert.deepEqual(
    picture.events.map(({ gateway, number }) => `${gateway}${number}`),
    ["a3", "a2", "b1", "a1"],
  );
});

test("the events that a page keeps are bounded", () => {
  const picture = new Picture();
  const events = Array.from({ length: 700 }, (_, number) => ({
    number,
    at: number,
    kind: "close",
    code: "left",
    detail: "",
  }));
  picture.take(told([state("a", { events })]));
  assert.equal(picture.events.length, 500);
  assert.equal(picture.events[0].number, 699);
});

test("a node has a view of each gateway", () => {
  const picture = new Picture();
  const node = (/** @type {object} */ known) => ({
    name: "r1",
    health: "healthy",
    draining: false,
    available: true,
    ...known,
  });
  picture.take(
    told([
      state("a", { nodes: [node({})] }),
      state("b", { nodes: [node({ health: "out", available: false })] }),
    ]),
  );
  const [{ name, views }] = picture.nodes;
  assert.equal(name, "r1");
  assert.deepEqual(
    views.map((view) => [view.gateway, condition(view)]),
    [
      ["a", "available"],
      ["b", "out"],
    ],
  );
  assert.equal(condition(node({ draining: true, health: "out" })), "draining");
  assert.equal(condition(node({ available: false })), "full");
  assert.equal(condition(node({ partitioned: true, available: false })), "partitioned");
});

test("an event that has come again stands at its latest time, once", () => {
  const picture = new Picture();
  const event = { at: 1, kind: "refusal", code: "rate_limited", detail: "", budget: "posts/user" };
  picture.take(told([state("a", { events: [{ ...event, number: 7 }] })]));
  picture.take(told([state("a", { events: [{ ...event, number: 8, at: 1.5 }] })]));
  picture.take(told([state("a", { events: [{ ...event, number: 30, first: 7, times: 23, at: 2 }] })]));
  assert.deepEqual(
    picture.events.map(({ number, times }) => [number, times]),
    [
      [30, 23],
      [8, undefined],
    ],
  );
});

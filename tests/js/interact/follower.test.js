import assert from "node:assert/strict";
import { test } from "node:test";
import { Follower } from "../../../static/interact/follower.js";
import { Problem } from "../../../static/interact/problem.js";
import { history, message } from "./messages.js";
import { Patience } from "./patience.js";

const numbered = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

/** A follower of a history, and the messages that it has given out. */
function following(source, after = 0) {
  const patience = new Patience();
  const given = [];
  const gaps = [];
  const queries = [];
  const tasks = [];
  const follower = new Follower(after, {
    history: (query) => {
      queries.push(query.after);
      return source(query);
    },
    give: ({ seq, type }) => given.push(seq ?? type),
    gap: (gap) => gaps.push(gap),
    run: (task) => tasks.push(task),
    patience,
  });
  return { follower, given, gaps, queries, patience, settled: () => Promise.all(tasks) };
}

test("all pages of the history are read", async () => {
  const { follower, given, queries } = following(history(numbered(1, 1234)));
  await follower.catchUp();
  assert.deepEqual(
    given,
    numbered(1, 1234).map(({ seq }) => seq),
  );
  assert.deepEqual(queries, [0, 500, 1000]);
});

test("what comes live while the history is read keeps its place", async () => {
  const { follower, given } = following(history(numbered(1, 3)));
  const reading = follower.catchUp();
  for (const seq of [5, 4, 2]) follower.receive(message(seq));
  assert.deepEqual(given, []);
  await reading;
  assert.deepEqual(given, [1, 2, 3, 4, 5]);
});

test("a hole that does not close by itself is filled, and nothing overtakes it", async () => {
  const { follower, given, patience, settled } = following(history(numbered(1, 5)));
  follower.receive(message(1));
  follower.receive(message(5));
  assert.deepEqual(given, [1]);
  await patience.pass();
  await settled();
  assert.deepEqual(given, [1, 2, 3, 4, 5]);
});

test("a hole that closes by itself costs no call", async () => {
  const { follower, given, queries, patience, settled } = following(history([]));
  for (const seq of [2, 1]) follower.receive(message(seq));
  await patience.pass();
  await settled();
  assert.deepEqual([given, queries], [[1, 2], []]);
});

test("instant messages are given as they come", () => {
  const { follower, given } = following(history([]));
  follower.receive(message(2));
  follower.receive(message(null, { type: "clap" }));
  assert.deepEqual(given, ["clap"]);
});

test("what is no longer kept is told, and it goes on with what is", async () => {
  const source = async (query) => {
    const page = await history(numbered(8, 9))(query);
    return query.after < 7 ? { ...page, complete: false, from: 8 } : page;
  };
  const { follower, given, gaps } = following(source, 3);
  await follower.catchUp();
  assert.deepEqual([gaps, given], [[{ after: 3, from: 8 }], [8, 9]]);
  await follower.catchUp();
  assert.equal(gaps.length, 1);
});

test("a history that is away is asked again as it wants, a refusal is told", async () => {
  const answers = [
    new Problem(503, "store_unavailable", "", 1000),
    new Problem(403, "removed", ""),
  ];
  const { follower, patience } = following(async () => {
    throw answers.shift();
  });
  const reading = follower.catchUp();
  assert.deepEqual(await patience.next(), ["wait", 2000]);
  void patience.pass();
  await assert.rejects(reading, { code: "removed" });
});

test("catching up while it catches up reads once more, not twice at a time", async () => {
  const kept = numbered(1, 1);
  let reading = 0;
  const { follower, given } = following(async (query) => {
    reading += 1;
    assert.equal(reading, 1);
    await null;
    reading -= 1;
    return history(kept)(query);
  });
  const first = follower.catchUp();
  kept.push(message(2));
  await Promise.all([first, follower.catchUp(), follower.catchUp()]);
  assert.deepEqual(given, [1, 2]);
});

test("no question is lost that is asked just as the one before is answered", async () => {
  for (let turns = 0; turns < 16; turns += 1) {
    const kept = numbered(1, 1);
    const { follower, given } = following((query) => history([...kept])(query));
    void follower.catchUp();
    for (let n = 0; n < turns; n += 1) await null;
    kept.push(message(2));
    await follower.catchUp();
    assert.deepEqual(given, [1, 2], `after ${turns} turns`);
  }
});

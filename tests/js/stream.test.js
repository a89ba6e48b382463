import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../static/js/api-error.js";
import { openStream } from "../../static/js/stream.js";
import { history, message } from "./messages.js";
import { Patience } from "./patience.js";

const numbered = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

/** A stream over a history, and what it has shown. */
async function opened(source, recent = 200) {
  const patience = new Patience();
  const shown = [];
  const tasks = [];
  const queries = [];
  const stream = await openStream(recent, {
    history: (query) => {
      queries.push(query);
      return source(query);
    },
    shown: ({ seq }, index) => shown.splice(index, 0, seq),
    run: (task) => tasks.push(task),
    patience,
  });
  return { stream, shown, patience, queries, settled: () => Promise.all(tasks) };
}

test("a stream begins with its newest messages", async () => {
  const { stream, shown } = await opened(history(numbered(1, 30)), 10);
  await stream.catchUp();
  assert.deepEqual(shown, [21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
  assert.equal(stream.timeline.start, 20);
});

test("all pages are read", async () => {
  const { stream, shown } = await opened(history(numbered(1, 1234)), Infinity);
  await stream.catchUp();
  assert.equal(shown.length, 1234);
});

test("older messages come on demand, until there are none", async () => {
  const { stream, shown } = await opened(history(numbered(1, 25)), 10);
  await stream.catchUp();
  await stream.readEarlier(10);
  assert.deepEqual([shown[0], stream.timeline.start], [6, 5]);
  await stream.readEarlier(10);
  assert.deepEqual([shown[0], shown.length, stream.timeline.start], [1, 25, 0]);
});

test("where the history no longer reaches there is nothing earlier", async () => {
  const { stream, shown } = await opened(history(numbered(15, 25), { first: 15 }), 20);
  await stream.catchUp();
  assert.deepEqual([shown[0], stream.timeline.start, stream.timeline.hasHole], [15, 0, false]);
});

test("after a break the history gives what was missed, and repetitions are dropped", async () => {
  const kept = numbered(1, 3);
  const { stream, shown, queries } = await opened((query) => history(kept)(query));
  await stream.catchUp();
  kept.push(...numbered(4, 6));
  stream.receive(message(3));
  await stream.catchUp();
  stream.receive(message(5));
  stream.receive(message(7));
  assert.deepEqual(shown, [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(queries.at(-1).after, 3);
});

test("a hole that does not close by itself is filled from the history", async () => {
  const kept = numbered(1, 2);
  const { stream, shown, patience, settled } = await opened((query) => history(kept)(query));
  await stream.catchUp();
  kept.push(...numbered(3, 5));
  stream.receive(message(5));
  assert.deepEqual(shown, [1, 2, 5]);
  await patience.pass();
  await settled();
  assert.deepEqual(shown, [1, 2, 3, 4, 5]);
});

test("a hole that closes by itself costs no call", async () => {
  const { stream, shown, patience, queries, settled } = await opened(history(numbered(1, 2)));
  await stream.catchUp();
  const calls = queries.length;
  for (const seq of [4, 3]) stream.receive(message(seq));
  await patience.pass();
  await settled();
  assert.deepEqual(shown, [1, 2, 3, 4]);
  assert.equal(queries.length, calls);
});

test("messages that are not for us leave no hole", async () => {
  const own = [2, 9, 30].map((seq) => message(seq));
  const { stream, shown, patience, settled } = await opened(history(own, { head: 40 }), Infinity);
  await stream.catchUp();
  stream.receive(message(44));
  await patience.pass();
  await settled();
  assert.deepEqual(shown, [2, 9, 30, 44]);
});

test("a history that is away is asked again", async () => {
  let away = false;
  const source = history(numbered(1, 4));
  const { stream, shown, patience } = await opened(async (query) => {
    if (away) throw new ApiError(503, "store_unavailable", "", 1000);
    return source(query);
  });
  away = true;
  const reading = stream.catchUp();
  assert.equal(await patience.next(), 2000);
  away = false;
  await patience.pass();
  await reading;
  assert.deepEqual(shown, [1, 2, 3, 4]);
});

test("a refusal of the history is told", async () => {
  let refused = false;
  const source = history(numbered(1, 4));
  const { stream } = await opened(async (query) => {
    if (refused) throw new ApiError(403, "access_refused", "");
    return source(query);
  });
  refused = true;
  await assert.rejects(stream.catchUp(), { code: "access_refused" });
});

test("catching up while it catches up reads once more, not twice at a time", async () => {
  const kept = numbered(1, 1);
  let reading = 0;
  const { stream, shown } = await opened(async (query) => {
    reading += 1;
    assert.equal(reading, 1);
    await null;
    reading -= 1;
    return history(kept)(query);
  });
  const first = stream.catchUp();
  kept.push(message(2));
  await Promise.all([first, stream.catchUp(), stream.catchUp()]);
  assert.deepEqual(shown, [1, 2]);
});

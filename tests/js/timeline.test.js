import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "../../static/js/timeline.js";
import { message } from "./messages.js";

const seqs = (timeline) => timeline.messages.map(({ seq }) => seq);

test("messages stand in the order of seq, however they come", () => {
  const timeline = new Timeline(0);
  assert.deepEqual(
    [3, 1, 4, 2].map((seq) => timeline.add(message(seq))),
    [0, 0, 2, 1],
  );
  assert.deepEqual(seqs(timeline), [1, 2, 3, 4]);
});

test("a repetition is dropped", () => {
  const timeline = new Timeline(0);
  for (const seq of [1, 2, 3]) timeline.add(message(seq));
  for (const seq of [2, 3, 1]) assert.equal(timeline.add(message(seq)), null);
  assert.deepEqual(seqs(timeline), [1, 2, 3]);
});

test("a hole is seen until it is filled", () => {
  const timeline = new Timeline(5);
  timeline.add(message(6));
  assert.equal(timeline.hasHole, false);
  timeline.add(message(8));
  timeline.add(message(9));
  assert.deepEqual([timeline.hasHole, timeline.through], [true, 6]);
  timeline.add(message(7));
  assert.deepEqual([timeline.hasHole, timeline.through], [false, 9]);
});

test("what the history does not have is no hole", () => {
  const timeline = new Timeline(0);
  timeline.add(message(4));
  timeline.add(message(8));
  timeline.settle(6);
  assert.deepEqual([timeline.hasHole, timeline.through], [true, 6]);
  timeline.settle(8);
  assert.deepEqual([timeline.hasHole, timeline.through], [false, 8]);
});

test("settling moves over live messages that follow without a hole", () => {
  const timeline = new Timeline(0);
  for (const seq of [3, 4, 6]) timeline.add(message(seq));
  timeline.settle(2);
  assert.deepEqual([timeline.through, timeline.hasHole], [4, true]);
});

test("settling never goes back", () => {
  const timeline = new Timeline(10);
  timeline.settle(3);
  assert.equal(timeline.through, 10);
});

test("a message from before the start takes its place and changes nothing else", () => {
  const timeline = new Timeline(10);
  timeline.add(message(11));
  assert.equal(timeline.add(message(4)), 0);
  assert.deepEqual([timeline.start, timeline.through, timeline.hasHole], [10, 11, false]);
});

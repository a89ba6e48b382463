import assert from "node:assert/strict";
import { test } from "node:test";
import { Sequence } from "../../../static/interact/sequence.js";
import { message } from "./messages.js";

const seqs = (messages) => messages.map(({ seq }) => seq);

test("every order of arrival gives the same order, each once", () => {
  const orders = (items) =>
    items.length < 2
      ? [items]
      : items.flatMap((first, n) => orders(items.toSpliced(n, 1)).map((rest) => [first, ...rest]));
  for (const order of orders([1, 2, 3, 4, 5])) {
    const sequence = new Sequence(0);
    const given = [...order, ...order].flatMap((seq) => sequence.take(message(seq)));
    assert.deepEqual(seqs(given), [1, 2, 3, 4, 5], `${order}`);
    assert.equal(sequence.hasHole, false);
  }
});

test("what comes before the position was had", () => {
  const sequence = new Sequence(7);
  assert.deepEqual(sequence.take(message(7)), []);
  assert.deepEqual(seqs(sequence.take(message(8))), [8]);
});

test("a settled hole gives out what waited behind it", () => {
  const sequence = new Sequence(0);
  for (const seq of [5, 3, 6, 9]) assert.deepEqual(sequence.take(message(seq)), []);
  assert.deepEqual(seqs(sequence.settle(4)), [3, 5, 6]);
  assert.deepEqual([sequence.position, sequence.hasHole], [6, true]);
  assert.deepEqual(seqs(sequence.settle(2)), []);
  assert.deepEqual(seqs(sequence.settle(10)), [9]);
  assert.deepEqual([sequence.position, sequence.hasHole], [10, false]);
});

test("what waits behind a hole is bounded: the history tells the rest again", () => {
  const sequence = new Sequence(0);
  for (let seq = 2; seq < 5000; seq += 1) sequence.take(message(seq));
  assert.equal(sequence.take(message(1)).length, 1001);
  assert.equal(sequence.position, 1001);
});

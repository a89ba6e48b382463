import assert from "node:assert/strict";
import test from "node:test";
import { Format } from "../../../static/admin/format.js";
import { WORDS } from "../../../static/admin/words.js";

const english = new Format("en");

test("sizes are in the unit that fits", () => {
  assert.deepEqual(
    [0, 999, 1000, 62_450, 3.2e9, 5e15].map((value) => english.bytes(value)),
    ["0 B", "999 B", "1 kB", "62.5 kB", "3.2 GB", "5,000 TB"],
  );
});

test("a latency is in milliseconds until it is a second", () => {
  assert.deepEqual(
    [null, 0.00123, 0.25, 1.5].map((value) => english.latency(value)),
    ["–", "1.23 ms", "250 ms", "1.5 s"],
  );
});

test("a span is told in its largest unit, in the page's language", () => {
  assert.deepEqual(
    [-1, 0, 59.9, 61, 7200, 200_000].map((value) => english.span(value)),
    ["0 sec", "0 sec", "59 sec", "1 min", "2 hr", "2 days"],
  );
  assert.equal(new Format("ko").span(61), "1분");
});

test("small numbers keep two digits behind the point, large ones none", () => {
  assert.deepEqual(
    [0, 0.999, 1.2345, 99.96, 1234.5].map((value) => english.number(value)),
    ["0", "1", "1.23", "100", "1,235"],
  );
});

test("every language has the same keys and the same values in them", () => {
  const values = (/** @type {string} */ text) => (text.match(/\{\w+\}/g) ?? []).sort();
  assert.deepEqual(Object.keys(WORDS.ko).sort(), Object.keys(WORDS.en).sort());
  for (const [key, text] of Object.entries(WORDS.en))
    assert.deepEqual(values(WORDS.ko[key]), values(text), key);
});

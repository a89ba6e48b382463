import assert from "node:assert/strict";
import { test } from "node:test";
import { delay } from "../../../static/interact/backoff.js";

const almostOne = () => 0.999999;

test("the window doubles until it is thirty seconds", () => {
  const longest = [0, 1, 2, 3, 4, 5, 50].map((n) =>
    Math.round((delay(n, almostOne, null) - 250) / 1000),
  );
  assert.deepEqual(longest, [2, 4, 8, 16, 30, 30, 30]);
});

test("clients are spread over the whole window", () => {
  assert.equal(
    delay(2, () => 0, null),
    250,
  );
  assert.equal(
    delay(2, () => 0.5, null),
    4250,
  );
});

test("what the server asks for is never undercut, and still spread", () => {
  assert.equal(
    delay(0, () => 0, 7000),
    7000,
  );
  assert.equal(
    delay(0, () => 0.5, 7000),
    8000,
  );
});

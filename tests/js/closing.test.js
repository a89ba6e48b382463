import assert from "node:assert/strict";
import { test } from "node:test";
import { closing } from "../../static/js/closing.js";

for (const [code, remedy] of [
  [1000, "again"],
  [1006, "again"],
  [1011, "again"],
  [1012, "again"],
  [1013, "again"],
  [4001, "login"],
  [4003, "refused"],
  [4008, "again"],
]) {
  test(`after ${code} the remedy is: ${remedy}`, () => {
    assert.equal(closing(code).remedy, remedy);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { remedy } from "../../../static/interact/closing.js";

for (const [code, wanted] of [
  [1000, "again"],
  [1002, "again"],
  [1006, "again"],
  [1011, "again"],
  [1012, "again"],
  [1013, "again"],
  [4001, "renew"],
  [4003, "stop"],
  [4008, "resume"],
]) {
  test(`after ${code} the remedy is: ${wanted}`, () => {
    assert.equal(remedy(code), wanted);
  });
}

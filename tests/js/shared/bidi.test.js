import assert from "node:assert/strict";
import { test } from "node:test";
import { isolated } from "../../../static/shared/bidi.js";

test("a text from left to right stays as it is, also in Korean", () => {
  for (const text of ["", "paul", "가은", "1 + 1", "😀"]) assert.equal(isolated(text), text);
});

test("a text with letters from right to left is isolated", () => {
  for (const text of ["דנה", "سلام", "7b · كيمياء", "𞤀𞤣"]) {
    assert.equal(isolated(text), `\u2068${text}\u2069`);
  }
});

test("nothing in a text turns what stands after it around, or ends its isolation", () => {
  assert.equal(isolated("gpj\u202e.exe"), "gpj.exe");
  assert.equal(isolated("a\u2069\u2067ב"), "\u2068aב\u2069");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { addable, hasDoubtful, needsLook } from "../../../static/room/roster.js";
import { textOf } from "../../../static/shared/file-text.js";

const bytes = (...numbers) => new Uint8Array(numbers).buffer;

test("a file is read as UTF-8, UTF-16 or as Korean Excel writes it", () => {
  const utf8 = new TextEncoder().encode("이름\nanna");
  assert.equal(textOf(utf8.buffer), "이름\nanna");
  assert.equal(textOf(bytes(0xef, 0xbb, 0xbf, 0x61)), "a");
  // "이름" in CP949.
  assert.equal(textOf(bytes(0xc0, 0xcc, 0xb8, 0xa7)), "이름");
  assert.equal(textOf(bytes(0xff, 0xfe, 0x74, 0xc7)), "이");
  assert.equal(textOf(bytes(0xfe, 0xff, 0xc7, 0x74)), "이");
  assert.equal(textOf(bytes()), "");
});

test("who has no account is added only if the host says so, and somebody has to look", () => {
  const entries = ["new", "unknown", "blanks", "member", "twice", "wrong"].map((state) => ({ state }));
  assert.deepEqual(
    addable(entries, false).map(({ state }) => state),
    ["new"],
  );
  assert.deepEqual(
    addable(entries, true).map(({ state }) => state),
    ["new", "unknown", "blanks"],
  );
  assert.ok(needsLook(entries));
  assert.ok(hasDoubtful(entries));
  assert.ok(!needsLook([{ state: "new" }]));
  assert.ok(!hasDoubtful([{ state: "wrong" }]));
});

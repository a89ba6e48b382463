import assert from "node:assert/strict";
import { test } from "node:test";
import { guaranteed, readable } from "../../static/js/message.js";
import { message } from "./messages.js";

test("a guaranteed message is read", () => {
  assert.deepEqual(guaranteed(JSON.stringify(message(7))), message(7));
});

for (const text of [
  "",
  "not JSON",
  "null",
  "7",
  '"text"',
  "[]",
  "{}",
  JSON.stringify(message(null)),
  JSON.stringify(message("7")),
  JSON.stringify(message(0)),
  JSON.stringify(message(1.5)),
  JSON.stringify({ seq: 1 }),
]) {
  test(`no guaranteed message: ${text.slice(0, 40)}`, () => {
    assert.equal(guaranteed(text), null);
  });
}

test("text is read as it is, all else as JSON", () => {
  assert.equal(readable("<b>안녕</b>"), "<b>안녕</b>");
  assert.equal(readable({ vote: 3 }), '{"vote":3}');
  assert.equal(readable(null), "null");
});

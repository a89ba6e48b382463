import assert from "node:assert/strict";
import { test } from "node:test";
import { readMessage } from "../../../static/js/interact/message.js";
import { message } from "./messages.js";

test("a message is read, guaranteed or instant", () => {
  assert.deepEqual(readMessage(JSON.stringify(message(7))), message(7));
  assert.deepEqual(readMessage(JSON.stringify(message(null))), message(null));
  assert.equal(readMessage(JSON.stringify(message(undefined))).seq, null);
});

for (const text of [
  ...["", "not JSON", "null", "7", '"text"', "[]", "{}"],
  ...["7", 0, -1, 1.5].map((seq) => JSON.stringify(message(seq))),
  JSON.stringify(message(1, { id: 1 })),
  JSON.stringify(message(1, { type: null })),
]) {
  test(`no message of the gateway's: ${text.slice(0, 40)}`, () => {
    assert.equal(readMessage(text), null);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { readMessage } from "../../../static/interact/message.js";
import { message } from "./messages.js";

const read = (text, headers) => readMessage({ body: text, headers });

test("a message is read, guaranteed or instant", () => {
  assert.deepEqual(read(JSON.stringify(message(7)), { seq: "7" }), message(7));
  assert.deepEqual(read(JSON.stringify(message(null)), {}), message(null));
  assert.equal(read(JSON.stringify(message(undefined)), {}).seq, null);
});

for (const text of [
  ...["", "not JSON", "null", "7", '"text"', "[]", "{}"],
  ...["7", 0, -1, 1.5].map((seq) => JSON.stringify(message(seq))),
  JSON.stringify(message(1, { id: 1 })),
  JSON.stringify(message(1, { type: null })),
]) {
  test(`no message of the gateway's: ${text.slice(0, 40)}`, () => {
    assert.equal(read(text, { seq: "1" }), null);
  });
}

for (const headers of [{}, { seq: "8" }, { seq: "07" }, { seq: "" }]) {
  test(`a number that the gateway does not vouch for: ${JSON.stringify(headers)}`, () => {
    assert.equal(read(JSON.stringify(message(7)), headers), null);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { uuid } from "../../../static/interact/identifier.js";

test("identifiers are random UUIDs of version 4, each another", () => {
  const made = Array.from({ length: 200 }, uuid);
  for (const id of made) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  assert.equal(new Set(made).size, made.length);
});

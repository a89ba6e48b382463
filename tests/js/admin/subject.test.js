import assert from "node:assert/strict";
import { test } from "node:test";
import { subjectOf } from "../../../static/admin/subject.js";

test("an address names a user, a room, a connection or a message, whatever characters the name has", () => {
  assert.deepEqual(subjectOf(`#/user/${encodeURIComponent("a/b %:김")}`), { kind: "user", name: "a/b %:김" });
  assert.deepEqual(subjectOf("#/room/42"), { kind: "room", name: "42" });
  assert.deepEqual(subjectOf("#/message/public.42%2F17"), { kind: "message", name: "public.42/17" });
  assert.deepEqual(subjectOf("#/connection/c1"), { kind: "connection", name: "c1" });
});

test("another address, or a broken one, is the overview", () => {
  for (const hash of ["", "#", "#/user/", "#/node/r1", "#/user/%E0%A4%A"]) assert.equal(subjectOf(hash), null);
});

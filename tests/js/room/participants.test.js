import assert from "node:assert/strict";
import { test } from "node:test";
import { participants } from "../../../static/room/participants.js";

test("names stand one a line or with commas between, and count once", () => {
  const members = participants(" paul, 김 미나\n\n,paul\r\nhana ");
  assert.deepEqual(
    members.map(({ user }) => user),
    ["paul", "김 미나", "hana"],
  );
  assert.ok(members.every(({ role }) => role === "participant"));
});

test("an empty field names nobody", () => {
  assert.deepEqual(participants(" \n"), []);
});

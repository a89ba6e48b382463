import assert from "node:assert/strict";
import { test } from "node:test";

import { Roster } from "../../../static/interact/roster.js";

const ann = { user: "ann", role: "participant", since: "2026-01-02T03:04:05.000000Z" };

/** @param {object[]} events */
function message(...events) {
  return { type: "presence", seq: null, sent_at: "2026-01-02T03:05:00.000000Z", body: { events } };
}

test("what happened in one moment is told one after the other", () => {
  const roster = new Roster();
  const told = [];
  const bea = { user: "bea", event: "join", role: "host" };
  for (const change of roster.apply(
    message({ user: "ann", event: "join", role: "participant" }, bea),
  ))
    told.push([change.user, roster.present.map((one) => one.user)]);
  assert.deepEqual(told, [
    ["ann", ["ann"]],
    ["bea", ["ann", "bea"]],
  ]);
});

test("what is known already is no change", () => {
  const roster = new Roster();
  roster.replace([ann]);
  const known = message(
    { user: "ann", event: "join", role: "participant" },
    { user: "bea", event: "leave", role: null },
  );
  assert.deepEqual([...roster.apply(known)], []);
  assert.deepEqual(roster.present, [ann]);
});

test("who leaves is not in the list any more", () => {
  const roster = new Roster();
  roster.replace([ann]);
  const left = { user: "ann", event: "leave", role: "participant" };
  assert.deepEqual([...roster.apply(message(left))], [left]);
  assert.deepEqual(roster.present, []);
});

test("what is shown beside a name comes with whoever comes in", () => {
  const roster = new Roster();
  Array.from(roster.apply(message({ user: "ann", event: "join", role: "participant", name: "Ann Lee" })));
  assert.deepEqual(roster.present, [
    { user: "ann", role: "participant", since: "2026-01-02T03:05:00.000000Z", name: "Ann Lee" },
  ]);
});

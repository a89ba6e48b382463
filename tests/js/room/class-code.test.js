import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../../../static/interact/index.js";
import { codeInPath, patience, spelled } from "../../../static/room/class-code.js";

test("the address of a class code has the code, as it was typed", () => {
  assert.equal(codeInPath("/j/BCDFGH"), "BCDFGH");
  assert.equal(codeInPath("/j/bcd%20fgh"), "bcd fgh");
  assert.equal(codeInPath("/j/%"), "%");
  assert.equal(codeInPath("/j/"), "");
  for (const path of ["/", "/j", "/j/a/b", "/admin"]) assert.equal(codeInPath(path), null);
});

test("a code is read aloud in two groups", () => {
  assert.equal(spelled("BCDFGH"), "BCD FGH");
});

test("a class that comes at the bell waits and tries again, spread; a wrong code does not", () => {
  const busy = new Problem(429, "joins_wait", "", 4000);
  assert.equal(patience(busy, () => 0), 4000);
  assert.equal(patience(busy, () => 1), 6000);
  assert.ok(patience(new Problem(0, "unreachable", ""), () => 0.5) > 0);
  assert.ok(patience(new Problem(503, "store_unavailable", "", null), () => 0) > 0);
  const refused = [
    new Problem(404, "unknown_code", ""),
    new Problem(429, "too_many_codes", "", 30_000),
    new Problem(403, "turned_away", ""),
    new TypeError("a fault of the page"),
  ];
  for (const problem of refused) assert.equal(patience(problem, () => 0), null);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenCredentials } from "../../../static/js/interact/credentials.js";
import { expiry } from "../../../static/js/interact/jwt.js";
import { renewalDelay, renewInTime } from "../../../static/js/interact/renewal.js";
import { Patience, turn } from "./patience.js";
import { token } from "./tokens.js";

test("a token's end is read, and what does not tell it has none", () => {
  assert.equal(expiry(token({ exp: 1893456000 })), 1893456000000);
  for (const text of ["", "opaque", "a.b.c", token({}), token({ exp: "soon" })]) {
    assert.equal(expiry(text), null, text);
  }
});

test("renewal comes in time, spread, and never in a rush", () => {
  const hour = 3_600_000;
  assert.equal(
    renewalDelay(hour, () => 0),
    hour - 60_000,
  );
  assert.equal(
    renewalDelay(hour, () => 1),
    hour - 120_000,
  );
  assert.equal(
    renewalDelay(10_000, () => 1),
    8_000,
  );
  for (const left of [-hour, 0, 1_000]) assert.equal(renewalDelay(left, Math.random), 5_000);
  // A longer timeout than 2^31 - 1 ms would be over at once (HTML, "timers").
  assert.ok(renewalDelay(365 * 24 * hour, Math.random) < 2 ** 31);
});

test("a token is renewed again and again, and each is told to the line", async () => {
  let now = 0;
  const credentials = new TokenCredentials(() => token({ exp: now / 1000 + 100 }));
  const patience = new Patience();
  const told = [];
  void renewInTime({ credentials, renewed: (fresh) => told.push(fresh), now: () => now, patience });
  for (let n = 0; n < 2; n += 1) {
    assert.deepEqual(await patience.next(), ["wait", 85_000]);
    now += 85_000;
    await patience.pass();
  }
  assert.deepEqual(told.map(expiry), [185_000, 270_000]);
});

test("what was renewed for another reason meanwhile is left alone", async () => {
  let now = 0;
  let given = 0;
  const credentials = new TokenCredentials(() =>
    token({ exp: now / 1000 + 100, given: (given += 1) }),
  );
  const patience = new Patience();
  void renewInTime({ credentials, renewed: assert.fail, now: () => now, patience });
  await patience.next();
  now += 50_000;
  await credentials.renew();
  await patience.pass();
  assert.deepEqual([given, await patience.next()], [2, ["wait", 85_000]]);
});

test("what only the user can renew, or does not tell its end, is left alone", async () => {
  const patience = new Patience();
  for (const source of ["a.b.c", () => "opaque"]) {
    const credentials = new TokenCredentials(source);
    await renewInTime({ credentials, renewed: assert.fail, now: () => 0, patience });
  }
  await turn();
  assert.deepEqual(patience.waits, []);
});

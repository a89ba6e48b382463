import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayClock, passing } from "../../../static/interact/clock.js";
import { TokenCredentials } from "../../../static/interact/credentials.js";
import { lifetime } from "../../../static/interact/jwt.js";
import { renewalDelay, renewInTime } from "../../../static/interact/renewal.js";
import { Patience, turn } from "./patience.js";
import { token } from "./tokens.js";

test("a token's end is read, and what does not tell it has none", () => {
  const [exp, iat] = [1893456000, 1893452400];
  const endsAt = exp * 1000;
  assert.deepEqual(lifetime(token({ exp })), { endsAt, lasts: null });
  assert.deepEqual(lifetime(token({ exp, iat })), { endsAt, lasts: 3_600_000 });
  assert.deepEqual(lifetime(token({ exp, iat: exp + 1 })), { endsAt, lasts: null });
  for (const text of ["", "opaque", "a.b.c", token({}), token({ exp: "soon" }), token(null)]) {
    assert.equal(lifetime(text), null, text);
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

/**
 * Tokens of a lifetime that are renewed, on a device whose clock is off. `gateway`: whether the gateway
 * tells its time; the issuer's clock is the same.
 */
function renewing({ lasts = 100, off = 0, gateway = true, iat = false, ended = false } = {}) {
  const time = { now: 1_893_456_000_000 };
  const [elapsed, now] = [() => time.now - 1_893_000_000_000, () => time.now + off];
  const clock = new GatewayClock({ elapsed, now });
  if (gateway) clock.note(new Date(time.now).toUTCString());
  const given = [];
  const credentials = new TokenCredentials({ clock }, () => {
    const second = time.now / 1000;
    const claims = { exp: second + (ended ? -1 : lasts), ...(iat ? { iat: second } : {}) };
    given.push(token({ ...claims, n: given.length }));
    return given.at(-1);
  });
  const patience = new Patience();
  const told = [];
  const renewed = (fresh) => told.push(fresh);
  void renewInTime({ credentials, renewed, elapsed, patience });
  const pass = async () => {
    const [kind, milliseconds] = await patience.next();
    time.now += milliseconds;
    await patience.pass();
    return [kind, milliseconds];
  };
  return { time, clock, credentials, patience, given, told, pass };
}

test("a token is renewed again and again, and each is told to the connection", async () => {
  const { pass, told, given } = renewing();
  for (let n = 0; n < 2; n += 1) assert.deepEqual(await pass(), ["nap", 85_000]);
  assert.deepEqual(told, given.slice(1));
  assert.equal(told.length, 2);
});

const hour = 3_600_000;
for (const off of [-24 * hour, -hour, 0, hour, 24 * hour]) {
  for (const how of [{ gateway: true }, { gateway: false, iat: true }]) {
    test(`a clock that is ${off / hour} h off renews nothing early or late: ${JSON.stringify(how)}`, async () => {
      const { pass, given } = renewing({ off, ...how });
      for (let n = 0; n < 3; n += 1) assert.deepEqual(await pass(), ["nap", 85_000]);
      assert.equal(given.length, 4);
    });
  }
}

test("tokens that have ended when they come are not asked for in a rush", async () => {
  const { pass } = renewing({ ended: true });
  const waits = [];
  for (let n = 0; n < 8; n += 1) waits.push((await pass())[1]);
  assert.deepEqual(waits.slice(0, 4), [5_000, 10_000, 20_000, 40_000]);
  assert.equal(waits.at(-1), 300_000);
});

test("a device that slept over the time to renew does so when it wakes", async () => {
  const { patience, time, given } = renewing({ lasts: 3600 });
  await patience.next();
  time.now += 2 * hour;
  await patience.pass();
  assert.equal(given.length, 2);
});

test("who wakes early naps on", async () => {
  const { patience, time, given } = renewing();
  await patience.next();
  time.now += 5_000;
  await patience.pass();
  assert.deepEqual([given.length, await patience.next()], [1, ["nap", 80_000]]);
});

test("what was renewed for another reason meanwhile is left alone", async () => {
  const { credentials, patience, time, given, told } = renewing();
  await patience.next();
  time.now += 50_000;
  await credentials.renew();
  await patience.pass();
  assert.deepEqual([given.length, told, await patience.next()], [2, [], ["nap", 85_000]]);
});

test("what only the user can renew, or does not tell its end, is left alone", async () => {
  const patience = new Patience();
  const clock = new GatewayClock({ elapsed: () => 0, now: () => 0 });
  for (const source of ["a.b.c", () => "opaque"]) {
    const credentials = new TokenCredentials({ clock }, source);
    await renewInTime({ credentials, renewed: assert.fail, elapsed: () => 0, patience });
  }
  await turn();
  assert.deepEqual(patience.waits, []);
});

test("time passes evenly, whatever is done to the clock on the wall, and sleep counts", () => {
  const clocks = { wall: 5_000, monotonic: 70 };
  const elapsed = passing({ wall: () => clocks.wall, monotonic: () => clocks.monotonic });
  const passed = (wall, monotonic) => {
    const before = elapsed();
    clocks.wall += wall;
    clocks.monotonic += monotonic;
    return elapsed() - before;
  };
  assert.equal(passed(1_000, 1_000), 1_000);
  // Set back by an hour: a second is still a second.
  assert.equal(passed(-hour, 1_000), 1_000);
  // Asleep, with a monotonic clock that stands still, and with one that goes on.
  assert.equal(passed(60_000, 10), 60_000);
  assert.equal(passed(60_000, 60_000), 60_000);
  // Adjusted, and read often: the adjustments do not add up.
  let sum = 0;
  for (let n = 0; n < 1_000; n += 1) sum += passed(n % 2, 0.5);
  assert.equal(sum, 500);
});

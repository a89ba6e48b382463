import assert from "node:assert/strict";
import { test } from "node:test";
import { CookieCredentials, TokenCredentials } from "../../../static/interact/credentials.js";
import { Problem } from "../../../static/interact/problem.js";
import { endpoint, json, problem, session } from "./endpoint.js";
import { token } from "./tokens.js";

const tokens = (source) => new TokenCredentials(endpoint(), source);

test("a token is asked for once, until it is renewed", async () => {
  let given = 0;
  const credentials = tokens(async () => token({ exp: (given += 1) }));
  assert.equal(credentials.term, null);
  const [first, again] = await Promise.all([credentials.token(), credentials.token()]);
  assert.deepEqual([first, given, credentials.term.endsAt], [again, 1, 1000]);
  await credentials.renew();
  assert.deepEqual([given, credentials.term.endsAt, credentials.renewsItself], [2, 2000, true]);
});

test("a plain token has no successor", async () => {
  const credentials = tokens("a.b.c");
  assert.deepEqual([await credentials.token(), credentials.term], ["a.b.c", null]);
  await assert.rejects(credentials.renew(), { status: 401, passes: false });
  assert.equal(credentials.renewsItself, false);
});

test("that a page's function fails may pass, unless it says otherwise", async () => {
  const failing = (error) => {
    const source = async () => {
      throw error;
    };
    return tokens(source).token();
  };
  await assert.rejects(failing(new TypeError("Failed to fetch")), { passes: true });
  await assert.rejects(failing(new Problem(401, "logged_out", "")), { passes: false });
  for (const nothing of [undefined, null, {}]) {
    await assert.rejects(tokens(() => nothing).token(), { code: "no_credentials", passes: true });
  }
});

test("a token is traded for the cookie, and again when it is renewed", async () => {
  const { requests, ...gateway } = endpoint(
    session("2030-01-01T10:00:00Z"),
    session("2030-01-01T11:00:00Z"),
  );
  let given = 0;
  const credentials = new CookieCredentials(gateway, true, () => `token ${(given += 1)}`);
  assert.equal(await credentials.token(), null);
  assert.equal(await credentials.token(), null);
  assert.equal(credentials.term.endsAt, Date.parse("2030-01-01T10:00:00Z"));
  assert.equal(await credentials.renew(), "token 2");
  assert.deepEqual(
    requests.map(({ method, path, body }) => [method, path, JSON.parse(body).token]),
    [
      ["POST", "/api/session", "token 1"],
      ["POST", "/api/session", "token 2"],
    ],
  );
});

test("a page gets the session itself, once for all who wait", async () => {
  const gateway = endpoint(session("2030-01-01T10:00:00Z"));
  let logins = 0;
  const credentials = new CookieCredentials(gateway, async () => (logins += 1), null);
  await Promise.all([credentials.renew(), credentials.renew()]);
  assert.deepEqual([logins, gateway.requests.length, credentials.renewsItself], [1, 1, false]);
});

test("a session that another page has renewed is taken; one that has ended is told", async () => {
  const gateway = endpoint(session("2030-01-01T10:00:00Z"), problem(401, "token_expired"));
  const credentials = new CookieCredentials(gateway, true, null);
  assert.equal(await credentials.renew(), null);
  await assert.rejects(credentials.renew(), { status: 401, code: "token_expired" });
});

test("somebody else's session is nobody's to use", async () => {
  const gateway = endpoint(
    session("2030-01-01T10:00:00Z", "paul"),
    session("2030-01-01T10:00:00Z", "mina"),
  );
  const credentials = new CookieCredentials(gateway, true, null);
  await credentials.check();
  await assert.rejects(credentials.check(), { status: 401, code: "user_changed", other: "mina" });
});

test("before anything goes out, a page knows whose session it has", async () => {
  const gateway = endpoint(session("2030-01-01T10:00:00Z"));
  const credentials = new CookieCredentials(gateway, true, null);
  const both = await Promise.all([credentials.token(), credentials.token()]);
  assert.deepEqual([both, credentials.user, gateway.requests.length], [[null, null], "paul", 1]);
});

test("something else than a session, in the gateway's place, is one to wait out", async () => {
  for (const answer of [{}, null, 7, { user: 7 }]) {
    const credentials = new CookieCredentials(endpoint(json(answer)), true, null);
    await assert.rejects(credentials.check(), { code: "unreachable", passes: true });
  }
});

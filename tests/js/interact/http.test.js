import assert from "node:assert/strict";
import { test } from "node:test";
import { Http } from "../../../static/interact/http.js";
import { Problem } from "../../../static/interact/problem.js";
import { GatewayClock } from "../../../static/interact/clock.js";
import { endpoint, json, problem } from "./endpoint.js";
import { turn } from "./patience.js";

const withToken = (renew = assert.fail) => ({ token: async () => "a.b.c", renew });
const call = (...answers) => new Http(endpoint(...answers), withToken()).call("GET", "/api/rooms");

test("a call goes to the gateway as the user, and brings its JSON", async () => {
  const gateway = endpoint(json({ rooms: [] }));
  const http = new Http({ ...gateway, cookies: false }, withToken());
  assert.deepEqual(await http.call("POST", "/api/rooms", { title: "x" }), { rooms: [] });
  const [{ path, method, headers, body, credentials }] = gateway.requests;
  assert.deepEqual([path, method, body], ["/api/rooms", "POST", '{"title":"x"}']);
  assert.equal(headers.Authorization, "Bearer a.b.c");
  assert.equal(credentials, "omit");
});

test("a refusal is told with its code and when to come again", async () => {
  await assert.rejects(call(problem(429, "rate_limited", { "Retry-After": "3" })), {
    status: 429,
    code: "rate_limited",
    detail: "about rate_limited",
    retryAfter: 3000,
    passes: true,
  });
});

test("an answer from a proxy that has no gateway behind it is one to wait out", async () => {
  await assert.rejects(
    call(() => new Response("<h1>Bad gateway</h1>", { status: 502 })),
    {
      status: 502,
      code: "unavailable",
      passes: true,
    },
  );
});

for (const page of ["<h1>Welcome to our WiFi</h1>", ""]) {
  test(`what a network answers in the gateway's place ("${page}") is one to wait out`, async () => {
    await assert.rejects(
      call(() => new Response(page, { status: 200 })),
      { status: 0, code: "unreachable", passes: true },
    );
  });
}

test("no answer is one to wait out", async () => {
  const away = () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(call(away), { status: 0, code: "unreachable", passes: true });
});

for (const status of [0, 408, 425, 429, 500, 503]) {
  test(`${status} passes`, () => {
    assert.equal(new Problem(status, "", "").passes, true);
  });
}

for (const status of [400, 403, 404, 410, 413, 422]) {
  test(`${status} does not pass by itself`, () => {
    assert.equal(new Problem(status, "", "").passes, false);
  });
}

test("a call that meets the token's end is made again with a new one, once", async () => {
  const ended = () => problem(401, "token_expired");
  let renewals = 0;
  const renewing = withToken(async () => (renewals += 1));
  assert.equal(await new Http(endpoint(ended(), json(7)), renewing).call("GET", "/"), 7);
  await assert.rejects(new Http(endpoint(ended(), ended()), renewing).call("GET", "/"), {
    status: 401,
  });
  assert.equal(renewals, 2);
});

test("calls that meet the token's end together renew it once", async () => {
  const ended = problem(401, "token_expired");
  const credentials = {
    renewals: 0,
    token: async () => null,
    renew: async () => (credentials.renewals += 1),
  };
  let late;
  const lateEnd = () => new Promise((resolve) => (late = () => resolve(ended())));
  const http = new Http(endpoint(ended, lateEnd, json(1), json(2)), credentials);
  const [first, second] = [http.call("GET", "/"), http.call("GET", "/")];
  assert.equal(await first, 1);
  late();
  assert.deepEqual([await second, credentials.renewals], [2, 1]);
});

test("a problem document that is broken is one of a proxy", async () => {
  const headers = { "Content-Type": "application/problem+json" };
  for (const text of ["{", "null", "7", '{"code":7}', ""]) {
    await assert.rejects(
      call(() => new Response(text, { status: 503, headers })),
      { name: "Problem", status: 503, code: "unavailable" },
    );
  }
});

test("a call says who the page is, once that is known, in letters that a header can have", async () => {
  const gateway = endpoint(json(1), json(2));
  const credentials = { ...withToken(), user: null };
  const http = new Http(gateway, credentials);
  await http.call("GET", "/");
  credentials.user = "김 민아";
  await http.call("GET", "/");
  const claims = gateway.requests.map(({ headers }) => headers["Interact-User"]);
  assert.deepEqual(claims, [undefined, "%EA%B9%80%20%EB%AF%BC%EC%95%84"]);
});

test("that somebody else is logged in is told, and nothing is made again as that one", async () => {
  const gateway = endpoint(problem(401, "user_changed"));
  const told = [];
  const http = new Http(gateway, withToken(), ({ code }) => told.push(code));
  await assert.rejects(http.call("POST", "/", {}), { code: "user_changed" });
  assert.deepEqual([told, gateway.requests.length], [["user_changed"], 1]);
});

test("a call's body is what it was when the call was made", async () => {
  const gateway = endpoint(json(1));
  const body = { n: 1 };
  const called = new Http(gateway, withToken()).call("POST", "/", body);
  body.n = 2;
  await called;
  assert.equal(gateway.requests[0].body, '{"n":1}');
  await assert.rejects(new Http(endpoint(), withToken()).call("POST", "/", 10n), { code: "not_json" });
});

test("what waits since before the device slept is given up, if it may be made again", async () => {
  const gateway = endpoint();
  const clock = { now: 0 };
  gateway.clock = new GatewayClock({ elapsed: () => clock.now, now: () => 0 });
  gateway.fetch = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const http = new Http(gateway, withToken());
  const old = http.call("GET", "/");
  let isOnItsWay = true;
  void http.call("POST", "/", {}).catch(() => (isOnItsWay = false));
  await turn();
  clock.now += 60_000;
  const young = http.call("GET", "/");
  http.hurry();
  await assert.rejects(old, { code: "unreachable", passes: true });
  assert.ok(isOnItsWay);
  clock.now += 3_001;
  http.hurry();
  await assert.rejects(young, { code: "unreachable" });
});

test("after the network was found dead no call that may be made again waits long for a connection of before", async (t) => {
  const waits = [];
  t.mock.method(AbortSignal, "timeout", (milliseconds) => {
    waits.push(milliseconds);
    return new AbortController().signal;
  });
  const gateway = endpoint(json(1), json(1), json(1), json(1));
  const clock = { now: 0 };
  gateway.clock = new GatewayClock({ elapsed: () => clock.now, now: () => 0 });
  const http = new Http(gateway, withToken());
  await http.call("GET", "/");
  http.revive();
  await http.call("GET", "/");
  await http.call("POST", "/", {});
  clock.now += 30_001;
  await http.call("GET", "/");
  assert.deepEqual(waits, [15_000, 2_000, 15_000, 15_000]);
});

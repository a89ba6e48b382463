import assert from "node:assert/strict";
import { test } from "node:test";
import { Http } from "../../../static/js/interact/http.js";
import { Problem } from "../../../static/js/interact/problem.js";
import { json, line, problem } from "./gateway-line.js";

const withToken = (renew = assert.fail) => ({ token: async () => "a.b.c", renew });
const call = (...answers) => new Http(line(...answers), withToken()).call("GET", "/api/rooms");

test("a call goes to the gateway as the user, and brings its JSON", async () => {
  const gateway = line(json({ rooms: [] }));
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
  assert.equal(await new Http(line(ended(), json(7)), renewing).call("GET", "/"), 7);
  await assert.rejects(new Http(line(ended(), ended()), renewing).call("GET", "/"), {
    status: 401,
  });
  assert.equal(renewals, 2);
});

test("calls that meet the token's end together renew it once", async () => {
  const ended = problem(401, "token_expired");
  let token = "old";
  let renewals = 0;
  const credentials = {
    token: async () => token,
    renew: async () => {
      renewals += 1;
      token = "new";
    },
  };
  let late;
  const lateEnd = () => new Promise((resolve) => (late = () => resolve(ended())));
  const http = new Http(line(ended, lateEnd, json(1), json(2)), credentials);
  const [first, second] = [http.call("GET", "/"), http.call("GET", "/")];
  assert.equal(await first, 1);
  late();
  assert.deepEqual([await second, renewals], [2, 1]);
});

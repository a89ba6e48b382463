import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ApiError } from "../../static/js/api-error.js";
import { Api } from "../../static/js/api.js";

const realFetch = globalThis.fetch;
/** @type {(() => Response)[]} */
let answers;
let requests;

beforeEach(() => {
  answers = [];
  requests = [];
  globalThis.fetch = async (path, init) => {
    requests.push({ path, ...init });
    return answers.shift()();
  };
});

afterEach(() => {
  globalThis.fetch = realFetch;
});

const problem =
  (status, code, headers = {}) =>
  () =>
    new Response(JSON.stringify({ code, detail: `about ${code}`, status }), {
      status,
      headers: { "Content-Type": "application/problem+json", ...headers },
    });
const json = (value) => () => new Response(JSON.stringify(value));

test("a refusal is told with its code and when to come again", async () => {
  answers = [problem(429, "rate_limited", { "Retry-After": "3" })];
  await assert.rejects(new Api(assert.fail).rooms(), {
    status: 429,
    code: "rate_limited",
    detail: "about rate_limited",
    retryAfter: 3000,
    passes: true,
  });
});

test("an answer from a proxy that has no gateway behind it is one to wait out", async () => {
  answers = [() => new Response("<h1>Bad gateway</h1>", { status: 502 })];
  await assert.rejects(new Api(assert.fail).rooms(), {
    status: 502,
    code: "unavailable",
    passes: true,
  });
});

test("no answer is one to wait out", async () => {
  answers = [
    () => {
      throw new TypeError("Failed to fetch");
    },
  ];
  await assert.rejects(new Api(assert.fail).rooms(), {
    status: 0,
    code: "unreachable",
    passes: true,
  });
});

for (const status of [400, 403, 404, 410, 413, 422]) {
  test(`${status} does not pass by itself`, () => {
    assert.equal(new ApiError(status, "", "").passes, false);
  });
}

test("calls that find the session ended are made again after one login for all", async () => {
  answers = [
    problem(401, "token_expired"),
    problem(401, "token_expired"),
    json({ rooms: [1] }),
    json({ rooms: [2] }),
  ];
  let logins = 0;
  const api = new Api(async () => {
    logins += 1;
  });
  assert.deepEqual(await Promise.all([api.rooms(), api.rooms()]), [[1], [2]]);
  assert.equal(logins, 1);
});

test("a wrong password asks for no login", async () => {
  answers = [problem(401, "not_authenticated")];
  await assert.rejects(new Api(assert.fail).logIn("paul", "wrong"), { code: "not_authenticated" });
});

test("user names with special characters stay one part of the path", async () => {
  answers = [() => new Response(null, { status: 204 })];
  await new Api(assert.fail).removeMember(42, "김/../a?b#c");
  const [{ path, method }] = requests;
  assert.equal(method, "DELETE");
  assert.equal(path, "/api/rooms/42/members/%EA%B9%80%2F..%2Fa%3Fb%23c");
});

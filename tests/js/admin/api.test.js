import assert from "node:assert/strict";
import { test } from "node:test";
import { AdminApi } from "../../../static/admin/api.js";
import { endpoint, json, problem } from "../interact/endpoint.js";

test("a login is asked for where somebody else may be let in, and nowhere else", async () => {
  for (const [status, code, helps] of [
    ...[[401, "not_authenticated", true], [403, "access_refused", true], [403, "kept_out", true]],
    ...[[403, "origin_refused", false], [403, "csrf_refused", false], [429, "rate_limited", false]],
  ]) {
    const asked = [];
    const way = endpoint(problem(status, code), json({ sessions: [] }));
    const api = new AdminApi(way, async (refusal) => asked.push(refusal.code));
    const called = api.call("GET", "/api/admin/connections");
    if (helps) assert.deepEqual(await called, { sessions: [] });
    else await assert.rejects(called, { code });
    assert.deepEqual(asked, helps ? [code] : []);
  }
});

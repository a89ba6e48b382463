import assert from "node:assert/strict";
import { test } from "node:test";

import { gatewayOf } from "../../../static/interact/gateway-address.js";

const ORIGIN = "https://school.example";

test("a page's gateway is the one that its modules come from", () => {
  assert.equal(gatewayOf(`${ORIGIN}/static/interact/gateway-address.js`, ORIGIN), ORIGIN);
  assert.equal(gatewayOf(`${ORIGIN}/a/b/static/interact/gateway-address.js`, ORIGIN), `${ORIGIN}/a/b`);
  assert.equal(gatewayOf(`${ORIGIN}/a/static/built/room-83540db2c664cd15.js`, ORIGIN), `${ORIGIN}/a`);
});

test("a library from elsewhere, or in an application's own bundle, means the page's origin", () => {
  for (const module of [
    "https://cdn.example/a/static/interact/index.js",
    `${ORIGIN}/assets/app.js`,
    `${ORIGIN}/a/static/other/index.js`,
    `${ORIGIN}/a/static/interact/deeper/index.js`,
    "file:///srv/app/static/interact/index.js",
    "blob:https://school.example/4b6ad0d1",
    "no address",
    undefined,
  ]) {
    assert.equal(gatewayOf(module, ORIGIN), ORIGIN);
  }
});

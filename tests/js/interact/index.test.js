import assert from "node:assert/strict";
import { test } from "node:test";

import * as library from "../../../static/interact/index.js";
import * as old from "../../../static/js/interact.js";

test("a page that imports the library by its old address gets the same one", () => {
  assert.deepEqual(Object.keys(library).sort(), ["Connection", "Problem", "connect"]);
  assert.deepEqual({ ...old }, { ...library });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { rolesInWords } from "../../../../static/accounts/view/roles.js";
import { WORDS } from "../../../../static/accounts/words.js";

test("roles are named in the page's language, those of a school's own as they are", () => {
  assert.equal(rolesInWords({ words: WORDS.ko }, ["host", "admin", "nurse"]), "교사, 관리자, nurse");
  assert.equal(rolesInWords({ words: WORDS.en }, ["host"]), "host");
  for (const none of [[], null, undefined]) assert.equal(rolesInWords({ words: WORDS.ko }, none), "–");
});

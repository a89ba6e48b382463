import assert from "node:assert/strict";
import { test } from "node:test";
import { separatorOf } from "../../../../static/room/view/remains.js";

test("where numbers have a comma, cells are separated by semicolons", () => {
  for (const language of ["de", "fr-FR", "pt-BR"]) assert.equal(separatorOf(language), "semicolon");
  for (const language of ["ko-KR", "en-US", "ja"]) assert.equal(separatorOf(language), "comma");
});

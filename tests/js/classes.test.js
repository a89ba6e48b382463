import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const STATIC = new URL("../../static/", import.meta.url);
const read = (path) => readFileSync(new URL(path, STATIC), "utf8");

/** The selectors of a style sheet, those within media queries too. @param {string} css */
function selectors(css) {
  const bare = css.replace(/\/\*.*?\*\//gs, "").replace(/@(media|supports)[^{]*\{/g, "");
  return [...bare.matchAll(/([^{}]+)\{/g)].flatMap(([, list]) =>
    list.split(",").map((selector) => selector.trim()),
  );
}

/** Classes that mean something wherever they stand, by style sheet. @param {string} page */
function meanings(page) {
  const sheets = [...read(page).matchAll(/href="\/static\/([\w/-]+\.css)"/g)];
  assert.ok(sheets.length > 4, page);
  const found = new Map();
  for (const [, sheet] of sheets) {
    for (const selector of selectors(read(sheet))) {
      if (!/^\.[\w-]+$/.test(selector)) continue;
      found.set(selector, (found.get(selector) ?? new Set()).add(sheet));
    }
  }
  return found;
}

for (const page of ["room/index.html", "admin/index.html"]) {
  test(`a class means one thing wherever it stands: ${page}`, () => {
    const found = meanings(page);
    assert.ok(found.size > 20);
    const double = [...found].filter(([, sheets]) => sheets.size > 1);
    assert.deepEqual(double, []);
  });
}

test("no value becomes a class as it is: it might be one that means something else", () => {
  let count = 0;
  for (const folder of ["room/view/", "shared/", "admin/view/"]) {
    for (const file of readdirSync(new URL(folder, STATIC))) {
      if (!file.endsWith(".js")) continue;
      const source = read(folder + file);
      for (const [found] of source.matchAll(/class: `[^`]*`/g)) {
        count += 1;
        // A fixed part before or after the value distinguishes it from all other classes.
        assert.doesNotMatch(found, /[`\s]\$\{[^}]*\}[`\s]/, `${file}: ${found}`);
      }
    }
  }
  assert.ok(count > 0);
});

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

for (const page of ["room/index.html", "admin/index.html", "accounts/index.html"]) {
  test(`a class means one thing wherever it stands: ${page}`, () => {
    const found = meanings(page);
    assert.ok(found.size > 20);
    const double = [...found].filter(([, sheets]) => sheets.size > 1);
    assert.deepEqual(double, []);
  });
}

/** The files of a page's scripts. @param {string} page */
const scripts = (page) =>
  [`${page}/view/`, "shared/"].flatMap((folder) =>
    readdirSync(new URL(folder, STATIC))
      .filter((file) => file.endsWith(".js"))
      .map((file) => folder + file),
  );

for (const page of ["room", "admin", "accounts"]) {
  const sheets = [...read(`${page}/index.html`).matchAll(/href="\/static\/([\w/-]+\.css)"/g)];
  const all = sheets.flatMap(([, sheet]) => selectors(read(sheet)));

  test(`a class that means something by itself modifies no other one: ${page}`, () => {
    const alone = new Set(all.filter((selector) => /^\.[\w-]+$/.test(selector)));
    const pairs = all.flatMap((selector) => [...selector.matchAll(/(\.[\w-]+)(\.[\w-]+)/g)]);
    assert.ok(pairs.length > 0);
    const double = pairs.filter(([, one, other]) => alone.has(one) && alone.has(other));
    assert.deepEqual(double.map(([pair]) => pair), []);
  });

  test(`a class that a script gives is in a style sheet: ${page}`, () => {
    const styled = new Set(all.flatMap((selector) => [...selector.matchAll(/\.([\w-]+)/g)].map(([, name]) => name)));
    const given = scripts(page).flatMap((file) =>
      [...read(file).matchAll(/class: (?:[\w.() ]+\? )?"([^"]+)"/g)].flatMap(([, names]) =>
        names.split(" ").map((name) => ({ file, name })),
      ),
    );
    assert.ok(given.length > 10);
    const bare = given.filter(({ name }) => !styled.has(name) && !name.startsWith("icon"));
    assert.deepEqual(bare, []);
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

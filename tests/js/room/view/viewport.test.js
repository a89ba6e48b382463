import assert from "node:assert/strict";
import { test } from "node:test";
import { followKeyboard } from "../../../../static/room/view/viewport.js";

/** A page of 640 pixels. */
function page() {
  const seen = Object.assign(new EventTarget(), { height: 640, scale: 1 });
  const style = new Map();
  const root = {
    clientHeight: 640,
    style: {
      setProperty: (name, value) => style.set(name, value),
      removeProperty: (name) => style.delete(name),
    },
  };
  const scrolled = [];
  followKeyboard({ visualViewport: seen, scrollTo: (x, y) => scrolled.push([x, y]) }, root);
  const resize = (height, scale = 1) => {
    Object.assign(seen, { height, scale });
    seen.dispatchEvent(new Event("resize"));
  };
  return { style, scrolled, resize };
}

test("a page is as high as what a keyboard leaves, and stays where it is", () => {
  const { style, scrolled, resize } = page();
  resize(340);
  assert.equal(style.get("--seen"), "340px");
  assert.deepEqual(scrolled, [[0, 0]]);
  resize(640);
  assert.equal(style.has("--seen"), false);
});

test("a page that is looked at in parts keeps its size", () => {
  const { style, scrolled, resize } = page();
  resize(320, 2);
  assert.equal(style.size, 0);
  assert.deepEqual(scrolled, []);
});

test("a browser that tells nothing changes nothing", () => {
  followKeyboard({ visualViewport: null, scrollTo: () => assert.fail() }, {});
});

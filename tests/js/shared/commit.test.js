import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { isCommit, watchCompositions } from "../../../static/shared/commit.js";

const page = new EventTarget();
watchCompositions(page);

const KEY = { key: "Enter", keyCode: 13, shiftKey: false, isComposing: false };
let now = 1_000;

/** An event of the page. @param {string} type @param {object} fields */
function happens(type, fields) {
  const event = new Event(type);
  for (const [name, value] of Object.entries({ timeStamp: now, ...fields })) {
    Object.defineProperty(event, name, { value });
  }
  page.dispatchEvent(event);
  return event;
}

/** @param {object} fields */
const press = (fields = {}) => isCommit(happens("keydown", { ...KEY, ...fields }));

beforeEach(() => {
  now += 1_000;
  happens("keyup", KEY);
});

test("Enter commits; with Shift, and any other key, does not", () => {
  assert.equal(press(), true);
  assert.equal(press({ shiftKey: true }), false);
  assert.equal(press({ key: "a", keyCode: 65 }), false);
});

test("Enter that a composition takes does not commit, however the browser tells it", () => {
  assert.equal(press({ isComposing: true, keyCode: 229 }), false);
  assert.equal(press({ isComposing: true }), false);
  assert.equal(press({ keyCode: 229 }), false);
});

test("Safari: the Enter that has ended the composition comes after its end", () => {
  happens("compositionend", {});
  assert.equal(press({ keyCode: 229 }), false);
  happens("keyup", KEY);
  now += 1_000;
  happens("compositionend", {});
  assert.equal(press(), false);
  // The key was pressed before its effects.
  assert.equal(press({ timeStamp: now - 3 }), false);
  now += 60;
  assert.equal(press(), true);
});

test("Chromium: the Enter that ended the composition comes once more, and commits", () => {
  assert.equal(press({ isComposing: true, keyCode: 229 }), false);
  happens("compositionend", {});
  assert.equal(press(), true);
});

test("a composition that a blank ended leaves Enter as it is", () => {
  happens("keydown", { ...KEY, key: " ", keyCode: 229 });
  happens("compositionend", {});
  now += 80;
  assert.equal(press(), true);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Drafts, LONGEST_DRAFT, MOST_DRAFTS } from "../../../static/room/drafts.js";
import { MemoryStorage } from "../interact/memory-storage.js";

/** A storage whose every use fails, as if the user had forbidden it. */
const BROKEN = new Proxy(
  {},
  {
    get() {
      throw new Error("SecurityError");
    },
  },
);

test("a draft outlives the page, for its user and its room", () => {
  const storage = new MemoryStorage();
  new Drafts(storage, "paul").of("7").keep({ text: "half a sen" });
  assert.deepEqual(new Drafts(storage, "paul").of("7").read(), { text: "half a sen" });
  assert.equal(new Drafts(storage, "paul").of("8").read(), null);
  assert.equal(new Drafts(storage, "mina").of("7").read(), null);
});

test("what was sent is no draft any more", () => {
  const storage = new MemoryStorage();
  const draft = new Drafts(storage, "paul").of("7");
  draft.keep({ text: "hello" });
  draft.keep(null);
  assert.equal(draft.read(), null);
  assert.equal(storage.length, 0);
});

test("the oldest of too many drafts goes, and what others keep stays", () => {
  const storage = new MemoryStorage();
  storage.setItem("interact:letter", "{}");
  let now = 0;
  const drafts = new Drafts(storage, "paul", () => (now += 1));
  for (let room = 1; room <= MOST_DRAFTS + 2; room += 1) drafts.of(`${room}`).keep(room);
  assert.equal(storage.length, MOST_DRAFTS + 1);
  assert.equal(drafts.of("2").read(), null);
  assert.equal(drafts.of("3").read(), 3);
  assert.equal(storage.getItem("interact:letter"), "{}");
});

test("a draft that is too long is none, and no older one comes back in its place", () => {
  const storage = new MemoryStorage();
  const draft = new Drafts(storage, "paul").of("7");
  draft.keep("short");
  draft.keep("x".repeat(LONGEST_DRAFT));
  assert.equal(draft.read(), null);
});

test("a storage that is absent, forbidden, full or written to by others breaks nothing", () => {
  for (const storage of [null, BROKEN]) {
    const draft = new Drafts(storage, "paul").of("7");
    draft.keep("lost");
    draft.keep(null);
    assert.equal(draft.read(), null);
  }
  const full = new MemoryStorage();
  const draft = new Drafts(full, "paul").of("7");
  draft.keep("before");
  full.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  draft.keep("after");
  assert.equal(draft.read(), null);
  const strange = new MemoryStorage();
  for (const text of ["", "{", "7", "null", "[]", '{"at":"now","what":1}']) {
    strange.setItem("interact.draft:paul:7", text);
    assert.equal(new Drafts(strange, "paul").of("7").read(), null, text);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { LetterStore } from "../../../static/js/interact/letter-store.js";
import { Outbox } from "../../../static/js/interact/outbox.js";
import { Problem } from "../../../static/js/interact/problem.js";
import { Tab } from "../../../static/js/interact/tab.js";
import { Locks } from "./locks.js";
import { MemoryStorage } from "./memory-storage.js";
import { Patience, turn } from "./patience.js";

const lost = () => new Problem(0, "unreachable", "no network");
const said = (body, fields = {}) => ({ audience: "public", type: "message", body, ...fields });

/** An outbox whose posts are answered with what stands in `answers`, then accepted. */
function outbox({ answers = [], comes = () => false } = {}) {
  const patience = new Patience();
  const posts = [];
  const made = new Outbox({
    post: async ({ id, body }) => {
      posts.push({ id, body });
      const answer = await answers.shift();
      if (answer) throw answer;
      return { id, seq: posts.length, sent_at: "", published: true };
    },
    changed: () => {},
    comes,
    now: () => 0,
    patience,
  });
  return { made, posts, patience };
}

test("a message is posted again with the same id until it is answered", async () => {
  const answers = [lost(), new Problem(429, "rate_limited", "", 4000)];
  const { made, posts, patience } = outbox({ answers });
  const sent = made.send(said("hello"));
  assert.deepEqual(await patience.next(), ["nap", 250 + 1000]);
  const [letter] = made.letters;
  assert.deepEqual([letter.state, letter.problem.code], ["waiting", "unreachable"]);
  await patience.pass();
  assert.deepEqual(await patience.next(), ["wait", 4000 + 2000]);
  await patience.pass();
  assert.equal((await sent).id, posts[0].id);
  assert.equal(posts.length, 3);
  assert.equal(new Set(posts.map(({ id }) => id)).size, 1);
  assert.deepEqual(made.letters, []);
});

test("messages leave in the order in which they were written", async () => {
  const { made, posts, patience } = outbox({ answers: [lost()] });
  const sent = [made.send(said("first")), made.send(said("second"))];
  await patience.pass();
  await Promise.all(sent);
  assert.deepEqual(
    posts.map(({ body }) => body),
    ["first", "first", "second"],
  );
});

test("nothing is left lying, whenever it is said", async () => {
  for (let turns = 0; turns < 12; turns += 1) {
    const { made, posts } = outbox();
    made.resume();
    for (let n = 0; n < turns; n += 1) await null;
    const answered = made.send(said("first"));
    await answered;
    for (let n = 0; n < turns; n += 1) await null;
    void made.send(said("second"));
    await turn();
    assert.equal(posts.length, 2, `after ${turns} turns`);
  }
});

test("a refused message is kept with its reason, and those after it leave", async () => {
  const { made, posts } = outbox({ answers: [new Problem(413, "too_large", "too long")] });
  const [long, short] = [made.send(said("long")), made.send(said("short"))];
  await assert.rejects(long, { code: "too_large", detail: "too long" });
  await short;
  assert.equal(posts.length, 2);
  const [{ id, body, state, problem }] = made.letters;
  assert.deepEqual([body, state, problem.code], ["long", "refused", "too_large"]);
  made.forget(id);
  assert.deepEqual(made.letters, []);
});

test("what was said shows until its message comes", async () => {
  const { made } = outbox({ comes: () => true });
  const { id } = await made.send(said("hello"));
  assert.equal(made.letters[0].state, "confirmed");
  made.arrived({ id });
  assert.deepEqual(made.letters, []);
});

test("a message that comes before its answer shows once, and is answered all the same", async () => {
  let answer;
  const answers = [new Promise((resolve) => (answer = resolve))];
  const { made, posts } = outbox({ answers, comes: () => true });
  const sent = made.send(said("hello"));
  made.arrived({ id: posts[0].id });
  assert.deepEqual(made.letters, []);
  answer();
  assert.equal((await sent).id, posts[0].id);
  assert.deepEqual(made.letters, []);
});

test("what nobody will hear any more is not waited for", async () => {
  let listening = true;
  const { made } = outbox({ comes: () => listening });
  await made.send(said("hello"));
  listening = false;
  made.prune();
  assert.deepEqual(made.letters, []);
});

test("the same id again is the same message", async () => {
  const { made, posts } = outbox();
  const id = "0b0f3f1c-6f5c-4a4e-9a8f-2f1d5a3c7e11";
  const [first, second] = await Promise.all([1, 2].map(() => made.send(said("a", { id }))));
  assert.deepEqual([first, posts.length], [second, 1]);
});

test("what waits is bounded in number and in size", async () => {
  const { made } = outbox({ answers: [lost()] });
  for (let n = 0; n < 100; n += 1) void made.send(said(n));
  await assert.rejects(made.send(said("one more")), { code: "outbox_full", passes: true });
  const { made: other } = outbox();
  await assert.rejects(other.send(said("x".repeat(250_000))), { code: "outbox_full" });
});

test("without a session it waits for the next one, and goes on then", async () => {
  const { made, posts } = outbox({ answers: [new Problem(401, "token_expired", "")] });
  const sent = made.send(said("hello"));
  await turn();
  assert.deepEqual([made.letters[0].state, posts.length], ["waiting", 1]);
  made.resume();
  await sent;
  assert.equal(posts[0].id, posts[1].id);
});

test("closing rejects what waits, but keeps it for the next page", async () => {
  const storage = new MemoryStorage();
  const { made, patience } = outbox({ answers: [lost()] });
  await made.keepIn(new LetterStore(storage, "room:", new Tab(null)));
  const sent = made.send(said("hello"));
  await patience.next();
  patience.leave(new Problem(0, "closed", ""));
  await assert.rejects(sent, { code: "closed" });
  assert.equal(storage.length, 1);
});

/** Pages of one user in one browser. */
function browserOfOneUser({ locks = new Locks() } = {}) {
  const storage = new MemoryStorage();
  return {
    storage,
    async page(options) {
      const living = new AbortController();
      const tab = new Tab(locks);
      await tab.live(living.signal);
      const one = outbox(options);
      await one.made.keepIn(new LetterStore(storage, "room:", tab));
      return {
        ...one,
        async vanish() {
          one.patience.leave(new Error("gone"));
          living.abort();
          await turn();
        },
      };
    },
  };
}

test("the next page sends once what the one before left, in order, with the same ids", async () => {
  const { storage, page } = browserOfOneUser();
  const before = await page({ answers: [lost()] });
  for (const body of ["one", "two"]) before.made.send(said(body)).catch(() => {});
  await before.patience.next();
  await before.vanish();
  const after = await page();
  await turn();
  assert.deepEqual(
    after.posts.map(({ body }) => body),
    ["one", "two"],
  );
  assert.equal(after.posts[0].id, before.posts[0].id);
  assert.equal(storage.length, 0);
});

test("a page leaves alone what a living one will send", async () => {
  const { page } = browserOfOneUser();
  const first = await page({ answers: [lost()] });
  const sent = first.made.send(said("mine"));
  await first.patience.next();
  const second = await page();
  assert.deepEqual([second.posts, second.made.letters], [[], []]);
  await first.patience.pass();
  await sent;
});

test("two pages that open at once do not both send what was left", async () => {
  const { page } = browserOfOneUser();
  const before = await page({ answers: [lost()] });
  before.made.send(said("left")).catch(() => {});
  await before.patience.next();
  await before.vanish();
  const opened = await Promise.all([page(), page()]);
  await turn();
  assert.equal(opened.flatMap(({ posts }) => posts).length, 1);
});

test("a page that looks around while another one takes over leaves it to that one", async () => {
  const storage = new MemoryStorage();
  const kept = said("left", { id: "one", written: 0 });
  new LetterStore(storage, "room:", { id: "gone" }).save(kept);
  const quick = new LetterStore(storage, "room:", new Tab(null));
  const slow = new LetterStore(storage, "room:", {
    id: "slow",
    ifGone: async (_, takeOver) => {
      assert.equal((await quick.adopt()).length, 1);
      takeOver();
    },
  });
  assert.deepEqual(await slow.adopt(), []);
});

test("what was left is sent in the order in which it was written", async () => {
  const storage = new MemoryStorage();
  const before = new LetterStore(storage, "room:", { id: "gone" });
  for (const written of [3, 1, 2]) before.save(said(written, { id: `id ${written}`, written }));
  storage.setItem("other room:id 9", JSON.stringify(said(9, { id: "id 9", written: 0 })));
  const adopted = await new LetterStore(storage, "room:", new Tab(null)).adopt();
  assert.deepEqual(
    adopted.map(({ body }) => body),
    [1, 2, 3],
  );
});

test("without locks a page sends what it finds; the same id makes that harmless", async () => {
  const { page } = browserOfOneUser({ locks: null });
  const first = await page({ answers: [lost()] });
  const sent = first.made.send(said("mine"));
  await first.patience.next();
  const second = await page();
  await turn();
  await first.made.adopt();
  await first.patience.pass();
  await sent;
  const ids = [...first.posts, ...second.posts].map(({ id }) => id);
  assert.equal(new Set(ids).size, 1);
});

test("a page that may not use locks does without them", async () => {
  const locks = { request: () => Promise.reject(new DOMException("", "SecurityError")) };
  const tab = new Tab(locks);
  await tab.live(new AbortController().signal);
  let taken = false;
  await tab.ifGone("another", () => (taken = true));
  assert.ok(taken);
});

test("a browser that has no room left still sends", async () => {
  const storage = new MemoryStorage();
  storage.setItem = () => {
    throw new DOMException("", "QuotaExceededError");
  };
  const { made, posts } = outbox();
  await made.keepIn(new LetterStore(storage, "room:", new Tab(null)));
  await made.send(said("hello"));
  assert.equal(posts.length, 1);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { PostStore } from "../../../static/interact/post-store.js";
import { messageText } from "../../../static/interact/post-text.js";
import { Outbox } from "../../../static/interact/outbox.js";
import { Problem } from "../../../static/interact/problem.js";
import { Tab } from "../../../static/interact/tab.js";
import { Locks } from "./locks.js";
import { MemoryStorage } from "./memory-storage.js";
import { Patience, turn } from "./patience.js";

const lost = () => new Problem(0, "unreachable", "no network");
const said = (body, fields = {}) => ({ audience: "public", type: "message", body, ...fields });

const uuidOf = (n) => `00000000-0000-4000-8000-${`${n}`.padStart(12, "0")}`;

/** A post as the store takes it. */
function kept(body, written, id = uuidOf(written)) {
  const message = { id, audience: "public", type: "message" };
  return { ...message, body, written, text: messageText(message, JSON.stringify(body)) };
}

/** An outbox whose posts get the `answers`, one after the other, and are then accepted. */
function outbox({ answers = [], comes = () => false, room = () => "a1", clock = { now: 0 } } = {}) {
  const patience = new Patience();
  const posts = [];
  const refused = [];
  const dropped = [];
  const made = new Outbox({
    room,
    post: async (text, to) => {
      const { id, body } = JSON.parse(text);
      posts.push({ id, body, text, to });
      const answer = await answers.shift();
      if (answer) throw answer;
      return { id, seq: posts.length, sent_at: "", published: true };
    },
    changed: () => {},
    refused: ({ problem }) => refused.push(problem.code),
    dropped: ({ body }) => dropped.push(body),
    comes,
    now: () => clock.now,
    patience,
  });
  return { made, posts, patience, refused, dropped };
}

test("a message is posted again with the same id until it is answered", async () => {
  const answers = [lost(), new Problem(429, "rate_limited", "", 4000)];
  const { made, posts, patience } = outbox({ answers });
  const sent = made.send(said("hello"));
  assert.deepEqual(await patience.next(), ["nap", 250 + 1000]);
  const [post] = made.posts;
  assert.deepEqual([post.state, post.problem.code], ["waiting", "unreachable"]);
  await patience.pass();
  assert.deepEqual(await patience.next(), ["wait", 4000 + 2000]);
  await patience.pass();
  assert.equal((await sent).id, posts[0].id);
  assert.equal(posts.length, 3);
  assert.equal(new Set(posts.map(({ id }) => id)).size, 1);
  assert.deepEqual(made.posts, []);
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
  const [{ id, body, state, problem }] = made.posts;
  assert.deepEqual([body, state, problem.code], ["long", "refused", "too_large"]);
  made.forget(id);
  assert.deepEqual(made.posts, []);
});

test("what was said shows until its message comes", async () => {
  const { made } = outbox({ comes: () => true });
  const { id } = await made.send(said("hello"));
  assert.equal(made.posts[0].state, "confirmed");
  made.arrived({ id });
  assert.deepEqual(made.posts, []);
});

test("a message that comes before its answer shows once, and is answered all the same", async () => {
  let answer;
  const answers = [new Promise((resolve) => (answer = resolve))];
  const { made, posts } = outbox({ answers, comes: () => true });
  const sent = made.send(said("hello"));
  made.arrived({ id: posts[0].id });
  assert.deepEqual(made.posts, []);
  answer();
  assert.equal((await sent).id, posts[0].id);
  assert.deepEqual(made.posts, []);
});

test("what nobody will hear any more is not waited for", async () => {
  let listening = true;
  const { made } = outbox({ comes: () => listening });
  await made.send(said("hello"));
  listening = false;
  made.prune();
  assert.deepEqual(made.posts, []);
});

test("the same id again is the same message", async () => {
  const { made, posts } = outbox();
  const id = "0b0f3f1c-6f5c-4a4e-9a8f-2f1d5a3c7e11";
  const [first, second] = await Promise.all([1, 2].map(() => made.send(said("a", { id }))));
  assert.deepEqual([first, posts.length], [second, 1]);
});

test("what waits is bounded in number and in size, and what finds no room is told", async () => {
  const { made, refused } = outbox({ answers: [lost()] });
  for (let n = 0; n < 1_000; n += 1) void made.send(said(n));
  await assert.rejects(made.send(said("one more")), { code: "outbox_full", passes: true });
  assert.deepEqual([made.posts.length, refused], [1_000, ["outbox_full"]]);
  const other = outbox({ answers: [lost()] });
  for (let n = 0; n < 9; n += 1) void other.made.send(said("x".repeat(100_000)));
  void other.made.send(said("x".repeat(100_000)));
  assert.deepEqual([other.made.posts.length, other.refused], [9, ["outbox_full"]]);
  await assert.rejects(other.made.send(said("x".repeat(1_000_001))), { code: "outbox_full", status: 413 });
});

test("what was refused is not shown for ever", async () => {
  const answers = Array.from({ length: 1_001 }, () => new Problem(413, "too_large", ""));
  const { made, refused, dropped } = outbox({ answers });
  for (let n = 0; n < 1_001; n += 1) {
    void made.send(said(n));
    if (n % 500 === 0) await turn();
  }
  await turn();
  assert.deepEqual([made.posts.length, made.posts[0].body, refused.length], [1_000, 1, 1_001]);
  assert.deepEqual(dropped, [0], "it is told");
});

test("a message is what it was when it was said, each time it is sent", async () => {
  const { made, posts, patience } = outbox({ answers: [lost()] });
  const body = { n: 1 };
  const sent = made.send(said(body));
  body.n = 2;
  assert.equal(made.posts[0].body.n, 1);
  made.posts[0].body.n = 3;
  await patience.pass();
  await sent;
  assert.equal(posts[0].text, posts[1].text);
  assert.deepEqual(posts[1].body, { n: 1 });
});

const cyclic = {};
cyclic.itself = cyclic;
let deep = 0;
for (let n = 0; n < 100_000; n += 1) deep = [deep];
const throwing = {
  toJSON() {
    throw new Error("not now");
  },
};
for (const [name, body] of Object.entries({
  ...{ bigint: 10n, "bigint inside": { n: 10n }, undefined: undefined, symbol: Symbol("s") },
  ...{ function: () => {}, "function inside": { f() {} }, NaN: NaN, "infinity inside": [-Infinity] },
  ...{ cyclic, deep, throwing, "hole in an array": [1, , 2], promise: Promise.resolve(1) },
  ...{ map: new Map([[1, 2]]), "bytes": new ArrayBuffer(4), "thrown symbol": { toJSON() { throw Symbol("x"); } } },
})) {
  test(`what JSON cannot say is refused and not bent: ${name}`, async () => {
    const { made, posts, refused } = outbox();
    await assert.rejects(made.send(said(body)), { name: "Problem", code: "not_json", passes: false });
    assert.deepEqual([posts, made.posts, refused], [[], [], ["not_json"]]);
  });
}

for (const [name, body] of Object.entries({
  ...{ null: null, false: false, empty: "", zero: 0, "lone surrogate": "\ud83d", list: [[], {}] },
  ...{ date: new Date(0), "without a value": { a: undefined, b: 1 }, "bare object": Object.create(null) },
  ...{ boxed: new Number(3), "__proto__": JSON.parse('{"__proto__": 1}') },
})) {
  test(`what JSON can say is sent as it is: ${name}`, async () => {
    const { made, posts } = outbox();
    await made.send(said(body));
    assert.equal(JSON.stringify(posts[0].body), JSON.stringify(body));
  });
}

test("an id is one, however it is written", async () => {
  const { made, posts } = outbox({ comes: () => true });
  const id = "0B0F3F1C-6F5C-4A4E-9A8F-2F1D5A3C7E11";
  const ways = [id, id.toLowerCase(), `{${id}}`, `urn:uuid:${id}`, id.replaceAll("-", "")];
  await Promise.all(ways.map((way) => made.send(said("a", { id: way }))));
  assert.deepEqual(posts.map((post) => post.id), [id.toLowerCase()]);
  made.arrived({ id });
  assert.deepEqual(made.posts, []);
  for (const other of ["7", {}, 7, null, `${id}0`]) {
    await assert.rejects(made.send(said("a", { id: other })), { code: "invalid_request" });
  }
});

test("an id that stands for something else already is told, not mistaken for it", async () => {
  const { made, refused } = outbox({ answers: [lost()] });
  const id = "0b0f3f1c-6f5c-4a4e-9a8f-2f1d5a3c7e11";
  void made.send(said("one", { id }));
  await assert.rejects(made.send(said("other", { id })), { code: "id_reused" });
  assert.deepEqual(refused, ["id_reused"]);
});

test("what was refused may be said again by its id", async () => {
  const { made, posts } = outbox({ answers: [new Problem(403, "access_refused", "")] });
  const id = "0b0f3f1c-6f5c-4a4e-9a8f-2f1d5a3c7e11";
  await assert.rejects(made.send(said("a", { id })), { status: 403 });
  await made.send(said("a", { id }));
  assert.deepEqual([posts.length, made.posts], [2, []]);
});

test("a refusal that nobody waits for is no unhandled rejection", async () => {
  const { made } = outbox({ answers: [new Problem(403, "access_refused", "")] });
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  void made.send(said("a"));
  void made.send(said(10n));
  await turn();
  await turn();
  process.off("unhandledRejection", note);
  assert.deepEqual(unhandled, []);
});

test("what is said when it is over is rejected, and not sent", async () => {
  const { made, posts, patience } = outbox();
  patience.leave(new Problem(0, "closed", ""));
  await assert.rejects(made.send(said("late")), { code: "closed" });
  assert.deepEqual(posts, []);
});

test("who waits for the next session is told that it is over", async () => {
  const { made, patience } = outbox({ answers: [new Problem(401, "token_expired", "")] });
  const sent = made.send(said("hello"));
  await turn();
  patience.leave(new Problem(401, "user_changed", ""));
  await assert.rejects(sent, { code: "user_changed" });
});

test("without a session it waits for the next one, and goes on then", async () => {
  const { made, posts } = outbox({ answers: [new Problem(401, "token_expired", "")] });
  const sent = made.send(said("hello"));
  await turn();
  assert.deepEqual([made.posts[0].state, posts.length], ["waiting", 1]);
  made.resume();
  await sent;
  assert.equal(posts[0].id, posts[1].id);
});

test("closing rejects what waits, but keeps it for the next page", async () => {
  const storage = new MemoryStorage();
  const { made, patience } = outbox({ answers: [lost()] });
  await made.keepIn(new PostStore(storage, "room:", new Tab(null)));
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
      await one.made.keepIn(new PostStore(storage, "room:", tab));
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
  assert.deepEqual([second.posts, second.made.posts], [[], []]);
  await first.patience.pass();
  await sent;
});

test("what was left in a room goes to no other one of its number", async () => {
  const { page, storage } = browserOfOneUser();
  const before = await page({ answers: [lost()] });
  before.made.send(said("for the members of a1")).catch(() => {});
  await before.patience.next();
  await before.vanish();
  // As an earlier version kept it.
  const { id, text } = kept("from before rooms had identities", 1);
  storage.setItem(`room:${id}`, `{"written":1,"tab":"gone",${text.slice(1)}`);
  const replaced = new Problem(410, "room_replaced", "");
  const after = await page({ answers: [replaced], room: () => "b2" });
  await turn();
  assert.deepEqual(
    after.posts.map(({ body, to }) => [body, to]),
    [
      ["for the members of a1", "a1"],
      ["from before rooms had identities", null],
    ],
  );
  assert.deepEqual(after.refused, ["room_replaced"]);
  assert.equal(storage.length, 0);
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
  new PostStore(storage, "room:", { id: "gone" }).save(kept("left", 0));
  const quick = new PostStore(storage, "room:", new Tab(null));
  const slow = new PostStore(storage, "room:", {
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
  const before = new PostStore(storage, "room:", { id: "gone" });
  for (const written of [3, 1, 2]) before.save({ ...kept(written, written), order: written });
  new PostStore(storage, "other room:", { id: "gone" }).save(kept(9, 0));
  const adopted = await new PostStore(storage, "room:", new Tab(null)).adopt();
  assert.deepEqual(
    adopted.map(({ body }) => body),
    [1, 2, 3],
  );
});

test("what was left is sent in that order although the clock was set back by an hour meanwhile", async () => {
  const { page } = browserOfOneUser();
  const clock = { now: 3_600_000 };
  const before = await page({ answers: [lost()], clock });
  before.made.send(said("first")).catch(() => {});
  clock.now = 0;
  before.made.send(said("second")).catch(() => {});
  await before.patience.next();
  await before.vanish();
  const after = await page({ answers: [lost()], clock });
  after.made.send(said("third")).catch(() => {});
  await after.patience.next();
  await after.vanish();
  const last = await page({ clock });
  await turn();
  assert.deepEqual(last.posts.map(({ body }) => body), ["first", "second", "third"]);
});

const vote = (n) => said(n, { type: "vote", audience: "private", keep: "vote:1" });

test("of unsent posts of one key only the newest is sent, and who made the others is told", async () => {
  const { made, posts, patience, refused } = outbox({ answers: [lost()] });
  const first = made.send(vote(1));
  await patience.next();
  const [second, third] = [made.send(vote(2)), made.send(vote(3))];
  const other = made.send(said(4, { keep: "vote:1" }));
  const ofOne = made.send({ ...vote(5), of: "paul" });
  await assert.rejects(second, { code: "replaced" });
  assert.deepEqual(made.posts.map(({ body, keep }) => [body, keep]).at(1), [3, "vote:1"]);
  await patience.pass();
  await Promise.all([first, third, other, ofOne]);
  // The first may have been stored: a newer one that overtook it would be undone by it.
  assert.deepEqual(posts.map(({ body }) => body), [1, 1, 3, 4, 5]);
  assert.deepEqual(refused, []);
  assert.match(posts[2].text, /"keep":"vote:1","body":3}$/);
});

const bodiesOf = ({ posts }) => posts.map(({ body }) => body);

test("what a page that is gone has left undoes nothing that was written after it", async () => {
  const { page, storage } = browserOfOneUser();
  const clock = { now: 10 };
  const [gone, mine] = [await page({ answers: [lost()], clock }), await page({ answers: [lost()], clock })];
  gone.made.send(vote("older")).catch(() => {});
  clock.now = 20;
  const sent = mine.made.send(vote("newer"));
  await mine.patience.next();
  await gone.vanish();
  // The connection is up again.
  mine.made.resume();
  await mine.made.adopt();
  await mine.patience.pass();
  await sent;
  await turn();
  assert.deepEqual([bodiesOf(mine), mine.made.posts, storage.length], [["newer", "newer"], [], 0]);
});

test("what was written after mine, by a page that is gone, is sent instead of mine, or after it", async () => {
  const { page, storage } = browserOfOneUser();
  const clock = { now: 10 };
  const [gone, mine] = [await page({ answers: [lost()], clock }), await page({ answers: [lost()], clock })];
  void mine.made.send({ ...vote("is being sent"), keep: "vote:2" });
  const waiting = mine.made.send(vote("waits"));
  await mine.patience.next();
  clock.now = 20;
  for (const post of [vote("newer"), { ...vote("newer of 2"), keep: "vote:2" }]) gone.made.send(post).catch(() => {});
  await gone.patience.next();
  await gone.vanish();
  await mine.made.adopt();
  await assert.rejects(waiting, { code: "replaced" });
  await mine.patience.pass();
  await turn();
  const bodies = bodiesOf(mine);
  assert.deepEqual(bodies.slice(0, 2), ["is being sent", "is being sent"]);
  assert.deepEqual([bodies.slice(2), storage.length], [["newer", "newer of 2"], 0]);
});

test("of what several pages that are gone have left of one key only the newest is sent, and what was sent stays", async () => {
  const { page, storage } = browserOfOneUser();
  const clock = { now: 10 };
  const gone = [];
  for (const body of ["first", "last"]) {
    const one = await page({ answers: [lost()], clock });
    one.made.send(vote(body)).catch(() => {});
    one.made.send(said(`${body} words`)).catch(() => {});
    gone.push(one);
    clock.now += 10;
  }
  const older = await page({ answers: [lost()], clock });
  older.made.send({ ...vote("older of 2"), keep: "vote:2" }).catch(() => {});
  clock.now += 10;
  const mine = await page({ clock });
  await mine.made.send({ ...vote("mine of 2"), keep: "vote:2" });
  for (const one of [...gone, older]) await one.vanish();
  await mine.made.adopt();
  await turn();
  assert.deepEqual(bodiesOf(mine), ["mine of 2", "first words", "last", "last words"]);
  assert.equal(storage.length, 0);
});

test("votes that replace each other fill no outbox", async () => {
  const { made, refused } = outbox({ answers: [lost()] });
  for (let n = 0; n < 2_000; n += 1) made.send(vote(n)).catch(() => {});
  await turn();
  assert.deepEqual([made.posts.map(({ body }) => body), refused], [[0, 1_999], []]);
});

test("a kept post is kept over a reload with its key", async () => {
  const { page } = browserOfOneUser();
  const before = await page({ answers: [lost()] });
  before.made.send({ ...vote(1), while: "voting:1", of: "paul" }).catch(() => {});
  await before.patience.next();
  await before.vanish();
  const after = await page({ answers: [lost()] });
  await after.patience.next();
  const [{ keep, of, while: condition, tab }] = after.made.posts;
  assert.deepEqual([keep, of, condition, tab], ["vote:1", "paul", "voting:1", undefined]);
  assert.equal(after.posts[0].text, before.posts[0].text);
  await assert.rejects(after.made.send(said("a", { keep: 7 })), { code: "invalid_request" });
});

for (const problem of [new Problem(403, "access_refused", ""), new Problem(409, "not_open", "")]) {
  test(`a stored message whose answer was lost is not refused because of ${problem.code}`, async () => {
    const { made, posts, patience, refused } = outbox({ answers: [lost(), problem], comes: () => true });
    const sent = made.send(said("hello"));
    await patience.next();
    made.arrived({ id: posts[0].id, seq: 7, sent_at: "then" });
    await patience.pass();
    assert.deepEqual(await sent, { id: posts[0].id, seq: 7, sent_at: "then", published: true });
    assert.deepEqual([made.posts, refused, posts.length], [[], [], 1]);
  });
}

test("a message that comes while its post is refused was not refused", async () => {
  let refuse;
  const answers = [new Promise((resolve) => (refuse = resolve))];
  const { made, posts, refused } = outbox({ answers });
  const sent = made.send(said("hello"));
  made.arrived({ id: posts[0].id, seq: 7, sent_at: "then" });
  refuse(new Problem(403, "access_refused", ""));
  assert.equal((await sent).seq, 7);
  assert.deepEqual([made.posts, refused], [[], []]);
});

test("a page that was sent away sends nothing more, says so, and leaves the rest to the next one", async () => {
  const { page, storage } = browserOfOneUser();
  const { made, posts, patience, refused } = await page({ answers: [lost()] });
  made.send(said("before")).catch(() => {});
  await patience.next();
  const kicked = new Problem(403, "kicked", "an admin has ended this connection");
  made.halt(kicked);
  await patience.pass();
  await assert.rejects(made.send(said("after")), { code: "kicked" });
  made.resume();
  await turn();
  assert.deepEqual([posts.length, refused, storage.length], [1, ["kicked"], 1]);
  assert.deepEqual(made.posts.map(({ body, problem }) => [body, problem]), [["before", kicked]]);
});

test("who is kept out for a while does not lose what waits", async () => {
  const { made, posts, refused } = outbox({ answers: [new Problem(403, "kept_out", "")] });
  const sent = made.send(said("hello"));
  await turn();
  assert.deepEqual([made.posts[0].state, refused], ["waiting", []]);
  made.resume();
  await sent;
  assert.equal(posts.length, 2);
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

const exceeded = () => new DOMException("", "QuotaExceededError");

for (const [name, broken] of Object.entries({
  "has no room left": ["setItem"],
  "forbids its storage": ["setItem", "getItem", "removeItem", "key"],
})) {
  test(`a browser that ${name} still sends, and it shows what a reload would lose`, async () => {
    const storage = new MemoryStorage();
    for (const method of broken) {
      storage[method] = () => {
        throw exceeded();
      };
    }
    const { made, posts, patience } = outbox({ answers: [lost()] });
    await made.keepIn(new PostStore(storage, "room:", new Tab(null)));
    const sent = made.send(said("hello"));
    assert.equal(made.posts[0].saved, false);
    await patience.pass();
    await sent;
    assert.equal(posts.length, 2);
  });
}

test("without any storage it shows what a reload would lose", async () => {
  const { made } = outbox({ answers: [lost()] });
  void made.send(said("hello"));
  assert.equal(made.posts[0].saved, false);
});

test("what found no room in the storage is saved when there is some", async () => {
  const storage = new MemoryStorage();
  const { made, patience } = outbox({ answers: [undefined, lost()] });
  await made.keepIn(new PostStore(storage, "room:", new Tab(null)));
  const write = storage.setItem;
  void made.send(said("first"));
  storage.setItem = () => {
    throw exceeded();
  };
  void made.send(said("second"));
  storage.setItem = write;
  assert.deepEqual(made.posts.map(({ saved }) => saved), [true, false]);
  await patience.next();
  assert.deepEqual(made.posts.map(({ saved }) => saved), [true]);
});

const whole = JSON.stringify({ ...kept("x", 1), tab: "gone", text: undefined });
for (const [name, key, text] of [
  ["half written", uuidOf(7), '{"id":"0000'],
  ["no object", uuidOf(7), "7"],
  ["nothing", uuidOf(7), "null"],
  ["an empty text", uuidOf(7), ""],
  ["a foreign key", "settings", '{"dark":true}'],
  ["another one's name", uuidOf(7), whole],
  ["a wrong audience", uuidOf(1), whole.replace("public", "all")],
  ["without a body", uuidOf(1), whole.replace('"body":"x"', '"no":"x"')],
  ["without a page", uuidOf(1), whole.replace('"tab":"gone"', '"tab":7')],
  ["without a time", uuidOf(1), whole.replace('"written":1', '"written":"yesterday"')],
]) {
  test(`an entry that is no post is set aside and told once, and the others go on: ${name}`, async () => {
    const storage = new MemoryStorage();
    storage.setItem(`room:${key}`, text);
    new PostStore(storage, "room:", { id: "gone" }).save(kept("left", 2));
    for (const wanted of [[{ key: `room:${key}`, text }], []]) {
      const told = [];
      const { made, posts } = outbox();
      const note = (entry) => told.push(entry);
      await made.keepIn(new PostStore(storage, "room:", new Tab(null), note));
      await turn();
      assert.deepEqual(told, wanted);
      if (wanted.length > 0) assert.deepEqual(posts.map(({ body }) => body), ["left"]);
    }
    assert.deepEqual([storage.length, storage.getItem(`interact.unreadable:room:${key}`)], [1, text]);
  });
}

test("a post of a version that wrote ids in capitals is sent, and gone then", async () => {
  const storage = new MemoryStorage();
  const id = "0B0F3F1C-6F5C-4A4E-9A8F-2F1D5A3C7E11";
  storage.setItem(`room:${id}`, JSON.stringify({ ...said("left", { id }), written: 1, tab: "gone" }));
  const { made, posts } = outbox();
  await made.keepIn(new PostStore(storage, "room:", new Tab(null)));
  await turn();
  assert.deepEqual([posts[0].id, storage.length], [id.toLowerCase(), 0]);
});

test("a page that is being left takes nothing over, and fails at nothing", async () => {
  const tab = new Tab({ request: () => Promise.reject(new DOMException("", "InvalidStateError")) });
  const storage = new MemoryStorage();
  new PostStore(storage, "room:", { id: "gone" }).save(kept("left", 0));
  assert.deepEqual(await new PostStore(storage, "room:", tab).adopt(), []);
});

test("the pause between two messages to everyone holds up nothing that is for the hosts", async () => {
  for (const code of ["slow_mode", "too_many_waiting"]) {
    const { made, posts, patience } = outbox({ answers: [new Problem(429, code, "", 30_000)] });
    const talk = [made.send(said("first")), made.send(said("second"))];
    await made.send(said("vote", { audience: "private" }));
    assert.deepEqual(made.posts.map(({ state }) => state), ["waiting", "sending"]);
    // Also one that is given while everything else is held.
    await turn();
    await made.send(said("hand", { audience: "private" }));
    await made.send(said("score", { keep: "score:1" }));
    assert.deepEqual(posts.map(({ body }) => body), ["first", "vote", "hand", "score"]);
    assert.deepEqual(await patience.next(), ["wait", 30_000 + 1_000]);
    await patience.pass();
    await Promise.all(talk);
    assert.deepEqual(posts.map(({ body }) => body).slice(4), ["first", "second"]);
    assert.deepEqual(made.posts, []);
  }
});

test("a page that ends while its posts are held ends calmly", async () => {
  const { made, patience } = outbox({ answers: [new Problem(429, "slow_mode", "", 30_000)] });
  const talk = made.send(said("first"));
  await patience.next();
  patience.leave(new Error("left"));
  await assert.rejects(talk);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { isStatePage, KeptFold } from "../../../static/interact/kept-fold.js";
import { StateFollowing } from "../../../static/interact/state-following.js";
import { message } from "./messages.js";
import { turn } from "./patience.js";
import { seeded } from "./random.js";
import { folded, kept, StateKeeper } from "./state-keeper.js";

const page = (state, fields = {}) => ({ state, seq: state.at(-1)?.seq ?? 0, whole: false, complete: true, ...fields });

/** A fold that has read these entries from nothing. */
function read(...state) {
  const fold = new KeptFold();
  fold.begin();
  fold.read(page(state, { whole: true }));
  return fold;
}

test("an entry is the room's if a host says it, a participant's own, or whose the host says", () => {
  const fold = read(
    kept(1, "vote:1", "a", { role: "participant", sender: "mia" }),
    kept(2, "vote:1", "b", { role: "participant", sender: "noa" }),
    kept(3, "vote:1", "c"),
    kept(4, "hand", null, { of: "mia" }),
    kept(5, "hand", "up", { role: "participant", sender: "noa" }),
  );
  const said = fold.entries().map(({ key, author, message: { body } }) => [key, author, body]);
  assert.deepEqual(said, [["vote:1", "mia", "a"], ["vote:1", "noa", "b"], ["vote:1", null, "c"], ["hand", "noa", "up"]]);
  assert.deepEqual([fold.get("vote:1")?.body, fold.get("vote:1", "noa")?.body, fold.get("hand", "mia")], ["c", "b", null]);
  assert.deepEqual(fold.entries("hand").map(({ author }) => author), ["noa"]);
  const taken = fold.take(kept(6, "hand", null, { of: "noa" }));
  assert.deepEqual(taken.map(({ author, message, before }) => [author, message, before.body]), [["noa", null, "up"]]);
});

test("what was cleared is not brought back by an older message, whichever comes first", () => {
  const fold = read(kept(1, "poll:1", "open"));
  fold.begin();
  assert.equal(fold.take(kept(7, "poll:1", null)).length, 1);
  assert.deepEqual(fold.take(kept(5, "poll:1", "again")), []);
  assert.deepEqual(fold.read(page([kept(5, "poll:1", "again")], { seq: 6 })), []);
  assert.equal(fold.get("poll:1"), null);
});

test("what a read from nothing does not have is gone, all at once; what came meanwhile stays", () => {
  const fold = read(kept(1, "poll:1", "one"), kept(2, "poll:2", "two"));
  fold.begin();
  fold.take(kept(90, "poll:4", "meanwhile"));
  assert.deepEqual(fold.read(page([kept(2, "poll:2", "two")], { whole: true, complete: false })), []);
  fold.take(kept(91, "poll:5", "meanwhile, too"));
  assert.equal(fold.get("poll:1")?.body, "one");
  const changes = fold.read(page([kept(50, "poll:3", "three")], { seq: 89 }));
  assert.deepEqual(changes.map(({ key, message }) => [key, message?.body]), [["poll:1", undefined], ["poll:3", "three"]]);
  assert.deepEqual(fold.entries().map(({ key }) => key), ["poll:2", "poll:3", "poll:4", "poll:5"]);
});

test("messages without a hole are known without asking", () => {
  const fold = read(kept(1, "poll:1", "one"));
  fold.take(message(2));
  fold.take(kept(3, "poll:1", null));
  assert.deepEqual([fold.seq, fold.entries()], [3, []]);
  fold.take(message(5));
  fold.take(message(null));
  assert.equal(fold.seq, 3);
});

const hidden = (seq) => ({ ...message(seq), sender: "", role: null, type: "hidden", body: null });

test("what is hidden may have been kept: the gateway is asked", () => {
  const fold = read(kept(1, "score:1", "one", { role: "participant", sender: "mia" }));
  assert.deepEqual(fold.take(hidden(2)), []);
  fold.take(message(3));
  assert.equal(fold.seq, 1);
  fold.begin();
  fold.read(page([kept(2, "score:1", "two", { role: "participant", sender: "mia" })], { seq: 3 }));
  assert.deepEqual([fold.get("score:1", "mia")?.body, fold.seq], ["two", 3]);
});

test("a late message neither clears a newer one, nor outlives an answer that knows better", () => {
  const fold = read(kept(1, "poll:1", "one"));
  fold.take(kept(3, "poll:1", "three"));
  fold.take(kept(2, "poll:1", null));
  assert.deepEqual([fold.seq, fold.get("poll:1")?.body], [2, "three"]);
  fold.begin();
  fold.take(kept(5, "poll:2", "cleared at 6, and that is forgotten"));
  fold.read(page([kept(3, "poll:1", "three")], { seq: 8, whole: true }));
  assert.deepEqual(fold.entries().map(({ key }) => key), ["poll:1"]);
});

test("an answer that makes no sense is none", () => {
  const good = page([kept(1, "poll:1", "one")], { complete: false });
  assert.ok(isStatePage(good, undefined));
  assert.ok(isStatePage({ ...good, seq: 0, complete: true }, 0));
  for (const bad of [null, {}, { ...good, state: [message(1)] }, { ...good, seq: "1" }, { ...good, whole: 1 }]) {
    assert.ok(!isStatePage(bad, undefined));
  }
  assert.ok(!isStatePage(good, 1), "it brings us no further");
});

/** One page that follows a room whose people write, whose connection breaks, and whose messages come late or never. */
async function lesson(random) {
  const few = (n) => Math.floor(random() * n);
  const keeper = new StateKeeper();
  keeper.remembers = few(4);
  keeper.limit = 1 + few(5);
  const fold = new KeptFold();
  const live = [];
  const ending = new AbortController();
  let isUp = false;
  const write = () => {
    const seq = keeper.history.length + 1;
    const isHost = random() < 0.5;
    const fields = isHost ? {} : { role: "participant", sender: `pupil${few(2)}` };
    if (isHost && random() < 0.2) fields.of = `pupil${few(2)}`;
    const one =
      random() < 0.3 ? message(seq) : kept(seq, `key${few(3)}`, random() < 0.4 ? null : `body ${seq}`, fields);
    keeper.history.push(one);
    if (isUp) live.push(one);
  };
  const hear = (n) => {
    // The next one; rarely it is lost, comes late or twice.
    for (const one of live.splice(0, n)) {
      const fate = random();
      if (fate < 0.1) following.receive(hidden(one.seq));
      else if (fate < 0.9) following.receive(one);
      if (fate > 0.8 && fate < 0.95) live.splice(few(live.length), 0, one);
    }
  };
  const channel = { isOpen: true, join() {}, leave() {} };
  const newest = new Map();
  const following = new StateFollowing({
    fold,
    channel,
    ask: async (query) => {
      for (let n = few(4); n > 0; n -= 1) write();
      hear(few(3));
      const answer = keeper.answer(query);
      for (let n = few(4); n > 0; n -= 1) write();
      await null;
      hear(few(3));
      return answer;
    },
    isVeiled: () => false,
    changed: (changes) => {
      for (const { key, author, message: now, before } of changes) {
        const name = `${key} ${author}`;
        assert.ok(now === null || now.seq > (newest.get(name) ?? 0), "an older one has come back");
        assert.notEqual(now, before);
        if (now !== null) newest.set(name, now.seq);
      }
    },
    run: (task) => task.catch((error) => ending.signal.aborted || assert.fail(error)),
    patience: {
      random,
      signal: ending.signal,
      nap: async () => {},
      // A hole is looked at soon; silences are long.
      wait: (milliseconds) => (milliseconds < 1_000 ? turn() : new Promise(() => {})),
    },
  });
  const opening = following.open();
  for (let n = 0; n < 25; n += 1) {
    const what = random();
    if (what < 0.5) write();
    else if (what < 0.8) hear(1 + few(4));
    else if (what < 0.9) {
      // A break: what was under way is lost, and everything from the next RECEIPT on comes.
      live.length = 0;
      isUp = false;
      for (let m = few(6); m > 0; m -= 1) write();
      isUp = true;
      following.opened();
    } else await turn();
  }
  await opening;
  hear(live.length);
  hear(live.length);
  live.length = 0;
  await following.catchUp();
  // What has been written while it asked.
  isUp = false;
  const written = keeper.history.slice(fold.seq);
  for (const one of written) following.receive(one);
  await turn();
  ending.abort();
  return { fold, keeper };
}

test("whatever comes, is lost, repeated or read in between, the state is the fold of the history", async () => {
  for (let seed = 1; seed <= 120; seed += 1) {
    const { fold, keeper } = await lesson(seeded(seed));
    const wanted = [...folded(keeper.history).values()].filter(({ body }) => body !== null);
    assert.deepEqual(
      fold.entries().map(({ message: { seq } }) => seq),
      wanted.map(({ seq }) => seq),
      `lesson ${seed}`,
    );
  }
});

/** A following of a veiled user, whose answers the test gives when it likes, and the texts that were shown. */
function veiled() {
  const ending = new AbortController();
  const [fold, asked, shown] = [new KeptFold(), [], new Set()];
  const following = new StateFollowing({
    fold,
    channel: { isOpen: true, join() {}, leave() {} },
    ask: (query) => new Promise((answer) => asked.push({ query, answer })),
    isVeiled: () => true,
    changed: (changes) => changes.forEach(({ message: now }) => now && shown.add(now.body)),
    run: (task) => task.catch((error) => ending.signal.aborted || assert.fail(error)),
    patience: {
      random: () => 0.5,
      signal: ending.signal,
      nap: async () => {},
      wait: (milliseconds) => (milliseconds === 1_000 ? turn() : new Promise(() => {})),
    },
  });
  const answer = async (...answers) => {
    await turn();
    asked.shift().answer(page(...answers));
    await turn();
  };
  return { fold, following, answer, shown, end: () => ending.abort() };
}

const mias = (seq, key, body) => kept(seq, key, body, { role: "participant", sender: "mia" });

test("what is hidden while a state is read in parts is not brought back by the part before", async () => {
  const { fold, following, answer, shown, end } = veiled();
  const opening = following.open();
  await answer([mias(1, "score:a", "rude")], { whole: true, complete: false });
  following.receive(kept(6, "hidden:1", { seq: 1 }));
  await answer([kept(5, "poll:1", "open")]);
  await opening;
  assert.equal(fold.get("score:a", "mia"), null);
  assert.deepEqual([...shown].filter((body) => typeof body === "string"), ["open"]);
  end();
});

test("an answer about what is shown again does not bring back what was hidden or cleared since", async () => {
  for (const since of [kept(4, "hidden:1", { seq: 1 }), mias(4, "score:a", null)]) {
    const { fold, following, answer, shown, end } = veiled();
    const opening = following.open();
    await answer([kept(2, "hidden:1", { seq: 1 })], { whole: true });
    await opening;
    following.receive(kept(3, "hidden:1", null));
    await turn();
    following.receive(since);
    await answer([mias(1, "score:a", "rude")], { complete: false });
    assert.equal(fold.get("score:a", "mia"), null);
    assert.equal(shown.has("rude"), false);
    end();
  }
});

test("what was hidden during the first part of a read, and is shown again in the next one, is asked for", async () => {
  for (const isFirst of [true, false]) {
    const { fold, following, answer, end } = veiled();
    const opening = following.open();
    if (!isFirst) await answer([], { whole: true });
    if (!isFirst) following.opened();
    await answer([kept(2, "poll:1", "open")], { whole: isFirst, complete: false });
    // The first part had no entry of seq 1, which was hidden then; this page never heard of that.
    await answer([kept(3, "hidden:1", null)]);
    await opening;
    await answer([mias(1, "score:a", "kind")], { complete: false });
    assert.equal(fold.get("score:a", "mia").body, "kind", `${isFirst}`);
    end();
  }
});

test("what is shown again while a state is read in parts stays", () => {
  const fold = read(kept(2, "hidden:1", { seq: 1 }));
  fold.begin();
  fold.read(page([kept(2, "hidden:1", { seq: 1 })], { whole: true, complete: false }));
  fold.take(kept(4, "hidden:1", null));
  fold.shown(page([mias(1, "score:a", "kind")], { complete: false }));
  fold.read(page([kept(3, "poll:1", "open")]));
  assert.deepEqual(fold.entries().map(({ key }) => key), ["score:a", "poll:1"]);
});

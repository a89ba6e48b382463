import assert from "node:assert/strict";
import { test } from "node:test";
import { problem } from "./endpoint.js";
import { Gateway } from "./gateway.js";
import { message } from "./messages.js";
import { turn } from "./patience.js";
import { kept } from "./state-keeper.js";

/** A connected page that follows the state of room 42, and the changes that it hears. */
async function page({ gateway = new Gateway(), audience = "public" } = {}) {
  const connection = gateway.connect();
  const room = connection.room(42);
  const heard = [];
  room.onstate = (of, changes) => {
    for (const { key, author, message: now } of changes) heard.push([of, key, author, now?.body ?? null]);
  };
  const subscription = room.followState(audience);
  await gateway.open();
  await turn();
  return { gateway, connection, room, state: room.state[audience], subscription, heard };
}

const bodies = (state) => state.entries().map(({ message: { body } }) => body);

test("a page knows what stands, however long ago it was said, and hears each change", async () => {
  const gateway = new Gateway();
  gateway.kept = [kept(1, "poll:1", "open"), message(2), kept(3_000, "settings", { chat: true })];
  const { room, state, heard, subscription } = await page({ gateway });
  await subscription.ready;
  assert.deepEqual([heard.splice(0).map(([, key]) => key), state.seq], [["poll:1", "settings"], 3_000]);
  assert.equal(state.get("poll:1").body, "open");
  const events = [];
  room.addEventListener("state", ({ detail }) => events.push(detail));
  gateway.say(kept(3_001, "poll:1", null));
  gateway.say(kept(3_002, "score:1", 7, { role: "participant", sender: "mia" }));
  assert.deepEqual(heard, [["public", "poll:1", null, null], ["public", "score:1", "mia", 7]]);
  assert.deepEqual([events[0].audience, events[0].changes[0].before.body], ["public", "open"]);
  assert.deepEqual([...room.state.public.entries("score:")].map(({ author }) => author), ["mia"]);
  assert.equal(gateway.asks("GET /api/rooms/42/state").length, 1);
});

test("after a break a page asks for what has changed, and forgets what nobody remembers", async () => {
  const gateway = new Gateway();
  gateway.kept = [kept(1, "poll:1", "one"), kept(2, "poll:2", "two")];
  const { state, heard } = await page({ gateway });
  gateway.stomp.close(1006, false);
  gateway.kept.push(kept(3, "poll:1", null), kept(4, "poll:3", "three"));
  await gateway.wake();
  await gateway.open();
  assert.match(gateway.asks("GET /api/rooms/42/state").at(-1), /after=2$/);
  assert.deepEqual([bodies(state), state.seq], [["two", "three"], 4]);
  gateway.stomp.close(1006, false);
  gateway.keepers.public.remembers = 0;
  gateway.kept.push(kept(5, "poll:2", null), kept(6, "poll:4", null));
  heard.length = 0;
  await gateway.wake();
  await gateway.open();
  assert.deepEqual([bodies(state), heard], [["three"], [["public", "poll:2", null, null]]]);
});

test("a large state is read in parts, and counts when it is whole", async () => {
  const gateway = new Gateway();
  gateway.keepers.public.limit = 2;
  gateway.keepers.public.remembers = 0;
  gateway.kept = [1, 2, 3, 4, 5].map((seq) => kept(seq, `k:${seq}`, seq));
  gateway.kept.push(kept(6, "gone", null));
  const { state } = await page({ gateway });
  assert.deepEqual(bodies(state), [1, 2, 3, 4, 5]);
  assert.deepEqual(
    gateway.asks("GET /api/rooms/42/state").map((asked) => asked.split("public").at(-1)),
    ["", "&after=2&whole=true", "&after=4&whole=true"],
  );
});

test("a message that was lost is asked for, soon", async () => {
  const { gateway, state } = await page();
  gateway.kept.push(kept(1, "poll:1", "lost"));
  gateway.say(message(2));
  assert.deepEqual(bodies(state), []);
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 500);
  await turn();
  assert.deepEqual(bodies(state), ["lost"]);
});

test("after some silence the gateway is asked", async () => {
  const { gateway, state } = await page();
  gateway.kept.push(kept(1, "poll:1", "lost"));
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 60_000);
  await turn();
  assert.deepEqual(bodies(state), ["lost"]);
});

test("a participant knows their own private entries: at once, after posts, breaks and some time", async () => {
  const gateway = new Gateway();
  const own = (seq, key, body, fields) =>
    kept(seq, key, body, { audience: "private", role: "participant", sender: "paul", ...fields });
  gateway.aside = [own(3, "vote:1", 2)];
  const { room, state, heard } = await page({ gateway, audience: "private" });
  assert.equal(state.get("vote:1", "paul").body, 2);
  gateway.answers = [(body) => Response.json({ id: JSON.parse(body).id, seq: 9, sent_at: "now", published: true })];
  await room.keep("hand", { up: true }, { audience: "private", type: "hand" });
  const { sender, seq, type } = state.get("hand", "paul");
  assert.deepEqual([sender, seq, type], ["paul", 9, "hand"]);
  // Nobody asks for what lies between: that is said to the hosts, by a whole class that votes.
  const waits = gateway.patience.waits.map(({ milliseconds }) => milliseconds);
  assert.ok(waits.includes(40_000) && !waits.includes(500), `${waits}`);
  gateway.aside.push(own(9, "hand", { up: true }), kept(12, "hand", null, { audience: "private", of: "paul" }));
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 40_000);
  await turn();
  assert.deepEqual([state.get("hand", "paul"), heard.at(-1)], [null, ["private", "hand", "paul", null]]);
  gateway.aside.push(own(13, "vote:1", 3));
  await gateway.wake();
  await turn();
  assert.equal(state.get("vote:1", "paul").body, 3);
  gateway.aside.push(own(14, "vote:1", 4));
  await room.state.private.refresh();
  assert.equal(state.get("vote:1", "paul").body, 4);
});

test("what hosts hide is gone for others, and comes back when it is shown again, also to who came meanwhile", async () => {
  const said = (seq, key, body) => kept(seq, key, body, { role: "participant", sender: "mia" });
  const hide = (seq, of, body = { seq: of }) => kept(seq, `hidden:${of}`, body);
  const gateway = new Gateway();
  gateway.kept = [said(1, "score:a", "rude"), said(2, "score:b", "kind"), kept(3, "settings", {})];
  const { state, heard } = await page({ gateway });
  heard.length = 0;
  gateway.say(hide(4, 1));
  assert.deepEqual(heard, [["public", "hidden:1", null, { seq: 1 }], ["public", "score:a", "mia", null]]);
  assert.equal(state.get("score:a", "mia"), null);
  gateway.say(hide(5, 3));
  assert.deepEqual(state.get("settings").body, {});
  const late = await page({ gateway });
  assert.equal(late.state.get("score:a", "mia"), null);
  const before = gateway.asks("GET /api/rooms/42/state").length;
  for (const stomp of gateway.connections) {
    const shown = hide(6, 1, null);
    if (stomp === gateway.connections[0]) gateway.kept.push(shown);
    stomp.message("acdm.mo.interact.public.42", JSON.stringify(shown));
  }
  for (const _ of gateway.connections) await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 1_000);
  assert.equal(gateway.asks("GET /api/rooms/42/state").length, before + 2);
  for (const one of [state, late.state]) {
    assert.equal(one.get("score:a", "mia").body, "rude");
    assert.equal(one.seq, 6);
  }
  // It was cleared meanwhile.
  gateway.say(hide(7, 2));
  gateway.say(said(8, "score:b", null));
  gateway.say(hide(9, 2, null));
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 1_000);
  assert.equal(late.state.get("score:b", "mia"), null);
});

test("hosts go on seeing what they have hidden", async () => {
  const gateway = new Gateway();
  gateway.role = "host";
  gateway.kept = [kept(1, "score:a", "rude", { role: "participant", sender: "mia" })];
  const { state } = await page({ gateway });
  gateway.say(kept(2, "hidden:1", { seq: 1 }));
  assert.equal(state.get("score:a", "mia").body, "rude");
});

test("an admin who is a participant goes on seeing what hosts have hidden, as the gateway does it", async () => {
  const gateway = new Gateway();
  gateway.roles = ["admin"];
  gateway.kept = [kept(1, "score:a", "rude", { role: "participant", sender: "mia" })];
  const { state } = await page({ gateway });
  gateway.say(kept(2, "hidden:1", { seq: 1 }));
  assert.equal(state.get("score:a", "mia").body, "rude");
});

test("the first thing that one page of a participant keeps shows at their other one at once", async () => {
  const gateway = new Gateway();
  const one = await page({ gateway, audience: "private" });
  const other = await page({ gateway, audience: "private" });
  gateway.answers = [
    (body) => {
      const { id, keep, body: said } = JSON.parse(body);
      gateway.aside.push(kept(1, keep, said, { audience: "private", role: "participant", sender: "paul", id }));
      return Response.json({ id, seq: 1, sent_at: "now", published: true });
    },
  ];
  await one.room.keep("vote:1", 2, { audience: "private" });
  await turn();
  assert.equal(other.state.get("vote:1", "paul").body, 2);
});

test("a participant without private entries costs nothing", async () => {
  const { gateway } = await page({ audience: "private" });
  const before = gateway.asks("GET /api/rooms/42/state").length;
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 40_000);
  await turn();
  assert.equal(gateway.asks("GET /api/rooms/42/state").length, before);
});

test("who becomes a host sees all private entries from then on, and what they may not see any more is gone", async () => {
  const gateway = new Gateway();
  const vote = (seq, sender) => kept(seq, "vote:1", seq, { audience: "private", role: "participant", sender });
  gateway.aside = [vote(1, "paul")];
  const { room, state } = await page({ gateway, audience: "private" });
  gateway.role = "host";
  gateway.aside = [vote(1, "paul"), vote(2, "mia")];
  await room.doubt();
  await turn();
  gateway.stomp.receiveAll();
  await turn();
  assert.deepEqual(state.entries().map(({ author }) => author), ["paul", "mia"]);
  const subscribed = gateway.stomp.subscriptions.map(({ headers }) => headers.id);
  assert.deepEqual(subscribed, ["acdm.mo.interact.private.42"]);
  gateway.stomp.message("acdm.mo.interact.private.42", JSON.stringify(vote(3, "noa")));
  assert.equal(state.get("vote:1", "noa").body, 3);
  gateway.role = "participant";
  gateway.aside = [vote(1, "paul")];
  await room.doubt();
  await turn();
  assert.deepEqual(state.entries().map(({ author }) => author), ["paul"]);
});

test("a state that is not followed any more is asked for no longer, and followed on where it was", async () => {
  const gateway = new Gateway();
  gateway.kept = [kept(1, "poll:1", "one")];
  const { room, state, subscription } = await page({ gateway });
  const second = room.followState();
  subscription.close();
  await second.ready;
  gateway.say(kept(2, "poll:2", "two"));
  assert.deepEqual(bodies(state), ["one", "two"]);
  second.close();
  await turn();
  assert.deepEqual(gateway.stomp.unsubscribed, ["acdm.mo.interact.public.42"]);
  await assert.rejects(state.refresh(), TypeError);
  gateway.kept.push(kept(3, "poll:3", "three"));
  room.followState();
  await turn();
  gateway.stomp.receiveAll();
  await turn();
  assert.deepEqual([bodies(state), gateway.asks("GET /api/rooms/42/state").length], [["one", "two", "three"], 2]);
});

test("a gateway that keeps no state says so", async () => {
  const gateway = new Gateway();
  const problems = [];
  const connection = gateway.connect();
  gateway.refusal = (path) => (path.includes("/state") ? problem(404, "not_found")() : null);
  const room = connection.room(42);
  room.addEventListener("problem", ({ detail }) => problems.push(detail.code));
  const subscription = room.followState();
  await gateway.open();
  await assert.rejects(subscription.ready, { status: 404 });
  assert.ok(problems.includes("not_found"));
});

test("a refusal after a break is told, and what is known stays", async () => {
  const gateway = new Gateway();
  gateway.kept = [kept(1, "poll:1", "one")];
  const { room, state } = await page({ gateway });
  const problems = [];
  room.addEventListener("problem", ({ detail }) => problems.push(detail.code));
  gateway.refusal = (path) => (path.includes("/state") ? problem(403, "access_refused")() : null);
  gateway.stomp.close(1006, false);
  await gateway.wake();
  await gateway.open();
  assert.deepEqual([problems, bodies(state)], [["access_refused"], ["one"]]);
});

test("a handler of the page that fails stops nothing", async () => {
  const { gateway, room, state } = await page();
  room.onstate = () => {
    throw new Error("a fault of the page");
  };
  gateway.say(kept(1, "poll:1", "one"));
  gateway.say(kept(2, "poll:2", "two"));
  assert.deepEqual([bodies(state), gateway.reported.length], [["one", "two"], 2]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../../../static/interact/problem.js";
import { problem } from "./endpoint.js";
import { Gateway } from "./gateway.js";
import { message } from "./messages.js";
import { turn } from "./patience.js";

/** A connected page that subscribes to room 42, and the messages of its handler. */
async function page(gateway = new Gateway(), options = {}, how = undefined) {
  const connection = gateway.connect(how);
  const room = connection.room(42);
  const heard = [];
  const subscription = room.subscribe(({ seq, type }) => heard.push(seq ?? type), options);
  await gateway.open();
  return { gateway, connection, room, subscription, heard };
}

test("without a token or a cookie nobody can connect, and the page is told at once", () => {
  assert.throws(() => new Gateway().connect({}), /needs a token, or cookie: true/);
});

test("a room is the same object for the same number", () => {
  const connection = new Gateway().connect();
  assert.equal(connection.room(42), connection.room(42));
  assert.notEqual(connection.room(42), connection.room(43));
});

test("by default a page hears what comes from now on, after a break what it missed", async () => {
  const gateway = new Gateway();
  gateway.kept = [message(1), message(2)];
  const { heard, connection } = await page(gateway);
  assert.equal(connection.state.name, "connected");
  assert.equal(gateway.stomp.subscriptions[0].headers["resume-after"], "2");
  gateway.say(message(3));
  gateway.stomp.close(1006, false);
  await gateway.wake();
  await gateway.open();
  assert.equal(gateway.connections.length, 2);
  assert.equal(gateway.stomp.subscriptions[0].headers["resume-after"], "3");
  for (const seq of [3, 4, 4, 5]) gateway.say(message(seq));
  assert.deepEqual(heard, [3, 4, 5]);
});

test("a page may begin with the last ones, or after one it names", async () => {
  const kept = [1, 2, 3, 4].map((seq) => message(seq));
  for (const [options, wanted] of [
    [{ last: 2 }, [3, 4]],
    [{ last: 9 }, [1, 2, 3, 4]],
    [{ after: 1 }, [2, 3, 4]],
    [{ after: 0 }, [1, 2, 3, 4]],
  ]) {
    const gateway = new Gateway();
    gateway.kept = [...kept];
    assert.deepEqual((await page(gateway, options)).heard, wanted);
  }
});

test("entering costs few calls, whatever a page subscribes to", async () => {
  const gateway = new Gateway();
  const { room } = await page(gateway);
  await room.presence(() => {}).ready;
  await room.subscribe(() => {}).ready;
  assert.equal(
    gateway.asks("GET /api/rooms/42").length - gateway.asks("GET /api/rooms/42/").length,
    1,
  );
});

test("a room that could not be asked about is asked about again", async () => {
  const gateway = new Gateway();
  const room = gateway.connect().room(43);
  for (let n = 0; n < 2; n += 1) {
    await assert.rejects(room.subscribe(() => {}).ready, { status: 404 });
  }
  assert.equal(gateway.asks("GET /api/rooms/43").length, 2);
});

test("the states are told as they come", async () => {
  const gateway = new Gateway();
  const connection = gateway.connect();
  const names = [];
  connection.addEventListener("state", ({ detail }) => names.push(detail.name));
  await gateway.open();
  gateway.stomp.close(1006, false);
  await turn();
  connection.close();
  connection.close();
  await turn();
  assert.deepEqual(names, ["connected", "waiting", "closed"]);
  assert.equal(connection.state.name, "closed");
});

test("a page that is looked at again asks whether it missed something", async () => {
  const { gateway, heard } = await page();
  gateway.kept.push(message(1));
  await gateway.wake();
  await turn();
  assert.deepEqual(heard, [1]);
});

test("after some silence the history is asked, and nothing shows of it", async () => {
  const { gateway, heard, connection } = await page();
  const [kind, milliseconds] = await gateway.patience.next();
  assert.equal(kind, "wait");
  assert.ok(milliseconds >= 20_000 && milliseconds <= 60_000);
  gateway.kept.push(message(1));
  await gateway.patience.pass();
  await turn();
  assert.deepEqual([heard, connection.state.name], [[1], "connected"]);
});

test("a connection that is dead when the page is looked at again is made anew at once", async () => {
  const { gateway } = await page();
  await gateway.wake();
  await gateway.pass(2_000);
  assert.equal(gateway.connections.length, 2);
});

test("where something was heard the history is not asked", async () => {
  const { gateway } = await page();
  gateway.say(message(1));
  const before = gateway.asked.length;
  await gateway.patience.pass();
  await turn();
  assert.equal(gateway.asked.length, before);
});

test("a handler that throws is reported, and hears the next message all the same", async () => {
  const gateway = new Gateway();
  const room = gateway.connect().room(42);
  const heard = [];
  room.subscribe(({ seq }) => {
    heard.push(seq);
    if (seq === 1) throw new Error("a fault of the page");
  });
  await gateway.open();
  for (const seq of [1, 2]) gateway.say(message(seq));
  assert.deepEqual(
    [heard, gateway.reported.map(({ message }) => message)],
    [[1, 2], ["a fault of the page"]],
  );
});

test("two handlers share one subscription, and each has its own beginning", async () => {
  const gateway = new Gateway();
  gateway.kept = [message(1), message(2)];
  const { room, heard } = await page(gateway);
  const all = [];
  await room.subscribe(({ seq }) => all.push(seq), { after: 0 }).ready;
  gateway.say(message(3));
  assert.deepEqual([heard, all, gateway.stomp.subscriptions.length], [[3], [1, 2, 3], 1]);
});

test("who joins while the connection is being opened misses nothing that is said meanwhile", async () => {
  const gateway = new Gateway();
  const room = gateway.connect().room(42);
  room.presence(() => {});
  await turn();
  await turn();
  gateway.stomp.connected();
  await turn();
  const heard = [];
  room.subscribe(({ seq }) => heard.push(seq));
  for (let n = 0; n < 5; n += 1) await turn();
  gateway.kept.push(message(1));
  gateway.stomp.receiveAll();
  await turn();
  assert.deepEqual(heard, [1]);
});

test("any other call of the contract is made as the same user", async () => {
  const gateway = new Gateway();
  const connection = gateway.connect();
  assert.equal((await connection.session()).user, "paul");
  assert.deepEqual(await connection.call("GET", "/api/rooms/42/presence"), { present: [] });
});

test("a question goes to the hosts, and is kept until it is answered", async () => {
  const { gateway, room } = await page();
  gateway.answers.push(() => new Response("", { status: 403 }));
  await assert.rejects(room.ask("Why?"), { status: 403 });
  const [{ id, audience, type, body, state }] = room.waiting;
  assert.deepEqual([audience, type, body, state], ["private", "question", "Why?", "refused"]);
  room.forget(id);
  assert.deepEqual(room.waiting, []);
});

test("a closed subscription hears nothing more; the last one leaves the connection", async () => {
  const { gateway, room, subscription, heard } = await page();
  const other = room.subscribe(() => {});
  await other.ready;
  subscription.close();
  gateway.say(message(1));
  assert.deepEqual([heard, gateway.stomp.unsubscribed], [[], []]);
  other.close();
  assert.deepEqual(gateway.stomp.unsubscribed, ["acdm.mo.interact.public.42"]);
});

test("what is said shows until it comes back", async () => {
  const { gateway, room, heard } = await page();
  const shown = [];
  room.addEventListener("waiting", ({ detail }) => shown.push(detail.map(({ state }) => state)));
  const { id, seq } = await room.post("hello");
  gateway.say(message(seq, { id }));
  assert.deepEqual([shown, heard], [[["sending"], ["confirmed"], []], [1]]);
});

test("what nobody listens to any more is not waited for", async () => {
  const { gateway, room, subscription } = await page();
  await room.post("hello");
  assert.equal(room.waiting.length, 1);
  subscription.close();
  assert.deepEqual([room.waiting, gateway.stomp.unsubscribed.length], [[], 1]);
});

test("a handler that closes its subscription is given nothing more", async () => {
  const gateway = new Gateway();
  gateway.kept = [1, 2, 3].map((seq) => message(seq));
  const heard = [];
  const subscription = gateway
    .connect()
    .room(42)
    .subscribe(
      ({ seq }) => {
        heard.push(seq);
        subscription.close();
      },
      { after: 0 },
    );
  await assert.rejects(subscription.ready, { name: "AbortError" });
  assert.deepEqual(heard, [1]);
});

test("an instant message is sent once, or not at all", async () => {
  const { gateway, room } = await page();
  gateway.answers.push(() => new Response("", { status: 503 }));
  await assert.rejects(room.post({}, { type: "clap", importance: "instant" }), { status: 503 });
  assert.equal(gateway.asks("POST").length, 1);
  assert.deepEqual(room.waiting, []);
});

test("what was left unsent goes out when the user comes again, and not as somebody else's", async () => {
  const { gateway, room, connection } = await page();
  gateway.answers.push(() => {
    throw new TypeError("Failed to fetch");
  });
  room.post("left").catch(() => {});
  await turn();
  assert.match(gateway.storage.key(0), /^interact:https:\/\/gateway.example:paul:42:/);
  connection.close();
  await turn();
  gateway.connect().room(42);
  await turn();
  await turn();
  assert.equal(gateway.asks("POST").length, 2);
  assert.equal(gateway.storage.length, 0);
});

test("what a page left that is gone is sent by the one that stays, when it connects again", async () => {
  const { gateway, room, connection } = await page();
  await page(gateway);
  const stays = gateway.stomp;
  gateway.answers.push(() => {
    throw new TypeError("Failed to fetch");
  });
  room.post("left").catch(() => {});
  await turn();
  connection.close();
  await turn();
  assert.equal(gateway.asks("POST").length, 1);
  stays.close(1006, false);
  await gateway.wake();
  await gateway.open();
  await turn();
  assert.equal(gateway.asks("POST").length, 2);
});

test("who is no host may not have the queue, and the connection stays up", async () => {
  const { gateway, room, connection } = await page();
  const problems = [];
  room.addEventListener("problem", ({ detail }) => problems.push(detail.code));
  await assert.rejects(room.private(() => {}).ready, { code: "access_refused" });
  await assert.rejects(room.subscribe(() => {}, { audience: "private" }).ready, { status: 403 });
  assert.deepEqual(problems, ["access_refused", "access_refused"]);
  assert.deepEqual([connection.state.name, gateway.stomp.subscriptions.length], ["connected", 1]);
});

test("a host has one queue at a time", async () => {
  const gateway = new Gateway();
  gateway.role = "host";
  const room = gateway.connect().room(42);
  const queue = room.private(() => {});
  assert.throws(() => room.private(() => {}), /in use/);
  await gateway.open();
  await queue.ready;
  queue.close();
  assert.deepEqual(gateway.stomp.unsubscribed, ["queue.acdm.mo.interact.private.42"]);
  room.private(() => {});
});

const joined = (user) => ({ user, role: "participant", since: "2030-01-01T10:00:00Z" });
const names = (present) => present.map(({ user }) => user).join();
const change = (user, event) =>
  message(null, { type: "presence", body: { events: [{ user, role: "participant", event }] } });

test("who is there is told at once and with every change, and is no message", async () => {
  const gateway = new Gateway();
  gateway.present = [joined("mina")];
  const { room, heard } = await page(gateway);
  const told = [];
  room.presence((present, what) => told.push([names(present), what?.event ?? null]));
  await turn();
  await turn();
  for (const event of ["join", "join", "leave"]) gateway.say(change("paul", event));
  assert.deepEqual(told, [
    ["mina", null],
    ["mina,paul", "join"],
    ["mina", "leave"],
  ]);
  assert.deepEqual(heard, []);
});

test("another role is told with the new one, once, and only of somebody who is there", async () => {
  const gateway = new Gateway();
  gateway.present = [joined("mina")];
  const { room } = await page(gateway);
  const told = [];
  room.presence((present, what) => {
    told.push([present.map(({ user, role }) => `${user} ${role}`).join(), what?.event ?? null]);
  });
  await turn();
  await turn();
  for (const user of ["mina", "mina", "paul"]) {
    const events = [{ user, role: "host", event: "role" }];
    gateway.say(message(null, { type: "presence", body: { events } }));
  }
  assert.deepEqual(told, [
    ["mina participant", null],
    ["mina host", "role"],
  ]);
});

test("a change that comes while the list is read is not lost", async () => {
  const gateway = new Gateway();
  const { room } = await page(gateway);
  const told = [];
  room.presence((present) => told.push(names(present)));
  while (gateway.asks("GET /api/rooms/42/presence").length === 0) await null;
  gateway.say(change("mina", "join"));
  await turn();
  assert.equal(told.at(-1), "mina");
});

test("what is closed before it began begins nothing", async () => {
  const gateway = new Gateway();
  gateway.role = "host";
  const room = gateway.connect().room(42);
  const begun = [room.presence(() => {}), room.subscribe(() => {}), room.private(() => {})];
  for (const subscription of begun) subscription.close();
  for (const { ready } of begun) await assert.rejects(ready, { name: "AbortError" });
  await gateway.open();
  assert.deepEqual(gateway.stomp.subscriptions, []);
});

test("presence alone follows the room without its history, and is read again after a break", async () => {
  const gateway = new Gateway();
  gateway.kept = [message(1)];
  const told = [];
  const room = gateway.connect().room(42);
  room.presence((present) => told.push(present.length));
  await gateway.open();
  assert.equal(gateway.stomp.subscriptions[0].headers["resume-after"], undefined);
  gateway.present = [joined("mina")];
  gateway.stomp.close(1006, false);
  await gateway.wake();
  await gateway.open();
  assert.equal(told.at(-1), 1);
});

test("a gateway that cannot resume is followed by the history", async () => {
  const { gateway, heard } = await page();
  gateway.stomp.close(1006, false);
  await gateway.wake();
  await turn();
  gateway.stomp.connected();
  gateway.stomp.refuse("acdm.mo.interact.public.42", "invalid_request");
  gateway.stomp.close(1002);
  gateway.kept.push(message(1));
  await gateway.wake();
  await gateway.open();
  assert.equal(gateway.stomp.subscriptions[0].headers["resume-after"], undefined);
  assert.deepEqual(heard, [1]);
});

test("closing settles everything that waits", async () => {
  const gateway = new Gateway();
  const connection = gateway.connect();
  const room = connection.room(42);
  gateway.answers.push(() => new Promise(() => {}));
  const { ready } = room.subscribe(() => {});
  await turn();
  connection.close();
  await assert.rejects(ready, { code: "closed" });
  await turn();
  assert.deepEqual([gateway.patience.waits, gateway.reported], [[], []]);
});

test("a device that slept for some seconds asks the connection, without any event that says so", async () => {
  for (const [slept, isSeen, asks] of [[1_000, true, 0], [3_000, true, 1], [15_000, true, 1], [3_000, false, 0]]) {
    const { gateway } = await page();
    await gateway.pass(slept, isSeen);
    assert.equal(gateway.stomp.sent.length, asks, `${slept} ms`);
  }
});

test("a page that is looked at again and again asks the history calmly", async () => {
  const { gateway } = await page();
  const before = gateway.asked.length;
  for (let n = 0; n < 20; n += 1) await gateway.wake();
  assert.equal(gateway.asked.length, before + 1);
});

test("a clock that is set forth by an hour costs the connection nothing", async () => {
  const { gateway, connection } = await page();
  gateway.clock.wall += 3_600_000;
  await gateway.pass(1_000);
  await gateway.pass(1_000);
  assert.deepEqual([gateway.connections.length, connection.state.name], [1, "connected"]);
});

test("what cannot be said is rejected and told, never thrown", async () => {
  const { room } = await page();
  const told = [];
  room.addEventListener("refused", ({ detail }) => told.push(detail.problem.code));
  const throwing = { get type() { throw new TypeError("no"); } };
  for (const ways of [
    [10n],
    [],
    ["x", { type: Symbol("x") }],
    ["x", { id: "7" }],
    ["x", { importance: "urgent" }],
    [10n, { importance: "instant" }],
    ["x", throwing],
    [10n, { importance: "guaranteed" }],
  ]) {
    for (const say of [room.post, room.ask]) {
      await assert.rejects(say.call(room, ...ways), { name: "Problem", status: 400 }, `${say.name} ${ways.length}`);
    }
  }
  await room.post("x", null);
  assert.ok(told.includes("not_json") && told.includes("invalid_request"));
});

test("an instant message is what it was when it was said", async () => {
  const { gateway, room } = await page();
  let sent;
  gateway.answers.push((body) => {
    sent = body;
    return new Response("{}");
  });
  const body = { x: 1 };
  const moved = room.post(body, { type: "cursor", importance: "instant" });
  body.x = 2;
  await moved;
  assert.equal(JSON.parse(sent).body.x, 1);
});

test("what one handler does to a message is no other's business", async () => {
  const { gateway, room, heard } = await page();
  room.subscribe((message) => {
    message.seq = 99;
    message.id = "another";
  });
  const bodies = [];
  room.subscribe(({ body }) => bodies.push(body.n));
  await turn();
  await turn();
  const { id, seq } = await room.post({ n: 1 });
  gateway.say(message(seq, { id, body: { n: 1 } }));
  assert.deepEqual([heard, bodies, room.waiting], [[1], [1], []]);
});

test("an asynchronous handler that fails is reported, and stops nothing", async () => {
  const gateway = new Gateway();
  const room = gateway.connect().room(42);
  room.subscribe(async () => {
    throw new Error("a fault of the page");
  });
  await gateway.open();
  for (const seq of [1, 2]) gateway.say(message(seq));
  await turn();
  assert.equal(gateway.reported.length, 2);
});

test("what a network answers in the gateway's place ends no subscription", async () => {
  const gateway = new Gateway();
  gateway.refusal = () => Response.json({ welcome: "to our WiFi" });
  const room = gateway.connect().room(42);
  const heard = [];
  room.subscribe(({ seq }) => heard.push(seq));
  await gateway.patience.next();
  gateway.refusal = null;
  await gateway.patience.pass();
  await gateway.open();
  gateway.say(message(1));
  assert.deepEqual([heard, gateway.reported], [[1], []]);
});

/** The gateway's report that the user was removed from the room. */
const removed = () => problem(403, "access_refused")();

async function sentAway(gateway, reason = "removed") {
  gateway.refusal = removed;
  gateway.stomp.error({ message: reason }, "your membership was ended");
  gateway.stomp.close(4003);
  await turn();
  await turn();
}

/** Let the page ask once more whether the room admits the user. */
async function askedAgain({ patience }) {
  await patience.passOne("wait", (milliseconds) => milliseconds === 1_000);
  const pause = await patience.passOne("wait", (one) => one !== 40_000 && one !== 1_000);
  return pause;
}

test("who is sent away learns it at once, and hears on where it was when let in again", async () => {
  const { gateway, connection, room, heard } = await page();
  const told = [];
  room.addEventListener("access", ({ detail }) => told.push([detail.name, detail.role, detail.problem?.code]));
  gateway.say(message(1));
  await sentAway(gateway);
  const { name, reason } = connection.state;
  assert.deepEqual([name, reason, room.access.name, gateway.connections.length], ["refused", "removed", "out", 1]);
  gateway.kept.push(message(2));
  await askedAgain(gateway);
  assert.equal(gateway.connections.length, 1);
  gateway.refusal = null;
  await askedAgain(gateway);
  await gateway.open();
  assert.equal(gateway.stomp.subscriptions[0].headers["resume-after"], "1");
  gateway.say(message(3));
  gateway.say(message(2));
  await turn();
  assert.equal(connection.state.name, "connected");
  assert.deepEqual(told, [["out", null, "access_refused"], ["in", "participant", undefined]]);
  assert.deepEqual(heard.slice(0, 1), [1]);
});

test("who waits to be let in is let in when the device wakes", async () => {
  const { gateway } = await page();
  await sentAway(gateway);
  gateway.refusal = null;
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 1_000);
  await gateway.wake();
  await turn();
  assert.equal(gateway.connections.length, 2);
});

test("it is asked calmly whether one is let in again", async () => {
  const { gateway } = await page();
  await sentAway(gateway);
  const waits = [];
  for (let n = 0; n < 12; n += 1) waits.push(await askedAgain(gateway));
  assert.deepEqual([waits[0], waits[1], waits.at(-1)], [3_000, 4_500, 60_000]);
});

test("a page that is not let in may wait until it is", async () => {
  const gateway = new Gateway();
  gateway.refusal = removed;
  const room = gateway.connect().room(42);
  await assert.rejects(room.subscribe(() => {}).ready, { status: 403 });
  const told = [];
  const watching = room.watchAccess(({ name }) => told.push(name));
  await turn();
  gateway.refusal = null;
  await askedAgain(gateway);
  assert.deepEqual(told, ["out", "in"]);
  await room.subscribe(() => {});
  watching.close();
});

test("nobody asks for a room that nobody wants to enter any more", async () => {
  const gateway = new Gateway();
  gateway.refusal = removed;
  const room = gateway.connect().room(42);
  const watching = room.watchAccess(() => {});
  await turn();
  watching.close();
  const before = gateway.asked.length;
  await askedAgain(gateway);
  await turn();
  assert.deepEqual([gateway.asked.length, gateway.patience.waits], [before, []]);
});

test("a room that was closed is told, and not asked about again", async () => {
  const { gateway, room, connection } = await page();
  gateway.closedAt = "2030-01-01T10:00:00Z";
  gateway.stomp.error({ message: "room_closed" }, "room 42 was closed");
  gateway.stomp.close(4003);
  await turn();
  await turn();
  assert.deepEqual([room.access.name, connection.state.reason], ["closed", "room_closed"]);
  const before = gateway.asked.length;
  for (let n = 0; n < 3; n += 1) {
    for (const wait of gateway.patience.waits.splice(0)) wait.resolve();
    await turn();
  }
  assert.equal(gateway.asked.length, before);
  await assert.rejects(room.subscribe(() => {}).ready, { status: 410, code: "room_closed" });
});

test("a page says with everything which room it means", async () => {
  const gateway = new Gateway();
  [gateway.identity, gateway.role] = ["a1", "host"];
  const { room } = await page(gateway, { after: 0 });
  room.private(() => {});
  await room.post("hello");
  await turn();
  gateway.stomp.receiveAll();
  const [topic, queue] = gateway.stomp.subscriptions;
  assert.deepEqual([topic.headers["room-identity"], queue.headers["room-identity"]], ["a1", "a1"]);
  const asked = gateway.asked.filter((each) => each.includes("/messages"));
  assert.ok(asked.length >= 2);
  assert.ok(asked.every((each) => each.endsWith("identity=a1")), asked.join());
});

for (const [how, meets] of Object.entries({
  "by its subscription": async ({ gateway }) => {
    gateway.stomp.close(1006, false);
    await gateway.wake();
    await gateway.open();
    gateway.stomp.error({ message: "room_replaced" }, "room 42 is another one now");
    gateway.stomp.close(4003);
  },
  "by the history": async ({ room }) => {
    await assert.rejects(room.history(), { status: 410, code: "room_replaced" });
  },
  "by a post": async ({ room }) => {
    await assert.rejects(room.post("for the room that was"), { status: 410, code: "room_replaced" });
  },
})) {
  test(`a page learns ${how} that the room is another one, and keeps out of it`, async () => {
    const gateway = new Gateway();
    gateway.identity = "a1";
    const seen = await page(gateway);
    gateway.say(message(1));
    gateway.identity = "b2";
    await meets(seen);
    for (let n = 0; n < 5; n += 1) await turn();
    const { name, problem: why } = seen.room.access;
    assert.deepEqual([name, why.code], ["out", "room_replaced"]);
    // It waits for nothing but to ask in silence whether something was missed.
    assert.deepEqual(
      gateway.patience.waits.filter(({ milliseconds }) => milliseconds < 40_000),
      [],
    );
    assert.deepEqual(seen.heard, [1]);
  });
}

test("a gateway of an older version that names no rooms is believed", async () => {
  const { gateway, room } = await page();
  assert.equal("room-identity" in gateway.stomp.subscriptions[0].headers, false);
  await room.post("hello");
  assert.equal(room.access.name, "in");
});

test("a post that only members may make tells that one is none any more", async () => {
  const { gateway, room } = await page();
  gateway.refusal = removed;
  gateway.answers.push(removed);
  await assert.rejects(room.post("hello"), { status: 403 });
  await turn();
  assert.equal(room.access.name, "out");
});

test("a page that an admin has sent away posts nothing more, in whatever room and way", async () => {
  for (const reason of ["kicked", "kept_out"]) {
    const { gateway, connection, room } = await page();
    gateway.stomp.error({ message: reason }, "an admin has ended this connection");
    gateway.stomp.close(4003);
    await turn();
    assert.deepEqual([connection.state.name, connection.state.reason], ["refused", reason]);
    const said = [room.post("a"), room.post("b", { importance: "instant" }), connection.room(43).keep("k", 1)];
    for (const one of said) await assert.rejects(one, { code: reason, status: 403 });
    assert.deepEqual(gateway.asks("POST"), []);
  }
});

test("a kept post says its key, and what it depends on", async () => {
  const { gateway, room } = await page();
  const bodies = [];
  const answer = (body) => {
    bodies.push(JSON.parse(body));
    return Response.json({ id: "x", seq: 1, sent_at: "", published: true });
  };
  gateway.answers = [answer, answer];
  await room.keep("vote:1", { choice: 2 }, { audience: "private", type: "vote", while: "voting:1" });
  await room.keep("hand", null, { audience: "private", of: "mia" });
  assert.deepEqual(
    bodies.map(({ id, ...rest }) => rest),
    [
      { audience: "private", type: "vote", keep: "vote:1", while: "voting:1", body: { choice: 2 } },
      { audience: "private", type: "kept", keep: "hand", of: "mia", body: null },
    ],
  );
});

test("being sent away from one room ends no other one", async () => {
  const { gateway, connection } = await page();
  const other = connection.room(421);
  other.presence(() => {});
  await turn();
  gateway.refusal = removed;
  const only = gateway.refusal;
  gateway.refusal = (path) => (/rooms\/42(\/|$)/.test(path) ? only() : null);
  gateway.stomp.error({ message: "removed" }, "");
  gateway.stomp.close(4003);
  await turn();
  await gateway.open();
  assert.equal(connection.state.name, "connected");
  assert.deepEqual(gateway.stomp.subscriptions.length, 1);
});

test("what is posted as somebody else in the same browser is refused, and stops the page", async () => {
  const { gateway, connection, room } = await page(new Gateway(), {}, { cookie: true });
  const told = [];
  connection.addEventListener("state", ({ detail }) => told.push([detail.name, detail.user, detail.other]));
  gateway.user = "mina";
  await assert.rejects(room.post("as paul"), { code: "user_changed" });
  await turn();
  assert.deepEqual(told, [["user_changed", "paul", null], ["user_changed", "paul", "mina"]]);
  const before = gateway.asked.length;
  await assert.rejects(room.post("later"), { code: "user_changed" });
  await assert.rejects(connection.call("GET", "/api/rooms"), { code: "user_changed" });
  await gateway.wake();
  assert.equal(gateway.asked.length, before);
  assert.deepEqual([...gateway.storage.keys()].map((key) => key.split(":")[3]), ["paul"]);
});

test("a page that closes its connection at once learns all the same who it is now", async () => {
  const { gateway, connection, room } = await page(new Gateway(), {}, { cookie: true });
  const told = [];
  connection.addEventListener("state", ({ detail }) => {
    told.push([detail.name, detail.other]);
    connection.close();
  });
  gateway.user = "mina";
  await assert.rejects(room.post("as paul"), { code: "user_changed" });
  await turn();
  assert.deepEqual(told, [["user_changed", null], ["user_changed", "mina"]]);
});

test("a page goes on as the other one if it wants to, and sends nothing of the first one's", async () => {
  const { gateway, connection, room } = await page(new Gateway(), {}, { cookie: true });
  gateway.user = "mina";
  room.post("as paul").catch(() => {});
  await turn();
  const next = connection.continueAs();
  next.room(42);
  await gateway.open();
  assert.equal((await next.session()).user, "mina");
  assert.equal(gateway.asks("POST").length, 1);
  next.close();
  gateway.user = "paul";
  gateway.connect({ cookie: true }).room(42);
  await turn();
  await turn();
  assert.deepEqual([gateway.asks("POST").length, gateway.storage.length], [2, 0]);
});

test("a login as somebody else in another page is told at once", async () => {
  const { gateway, connection } = await page(new Gateway(), {}, { cookie: true });
  gateway.user = "mina";
  gateway.connect({ cookie: true });
  await turn();
  await turn();
  const { name, user, other } = connection.state;
  assert.deepEqual([name, user, other], ["user_changed", "paul", "mina"]);
  assert.equal(gateway.connections[0].left, true);
});

test("a login as the same user in another page changes nothing", async () => {
  const { gateway, connection } = await page(new Gateway(), {}, { cookie: true });
  gateway.connect({ cookie: true });
  await turn();
  assert.equal(connection.state.name, "connected");
});

test("a logout in another page is told at once", async () => {
  let logIn;
  const cookie = () => new Promise((resolve) => (logIn = resolve));
  const { gateway, connection } = await page(new Gateway(), {}, { cookie });
  const other = gateway.connect({ cookie: true });
  await turn();
  await other.call("DELETE", "/api/session");
  await turn();
  assert.deepEqual([connection.state.name, connection.state.reason], ["unauthenticated", "logged_out"]);
  gateway.user = "paul";
  logIn();
  await turn();
  assert.equal(gateway.connections.length, 3);
});

test("what another page claims is not believed without asking", async () => {
  const { gateway, connection } = await page(new Gateway(), {}, { cookie: true });
  const forged = gateway.broadcast(() => {});
  for (const data of [null, 7, {}, { user: "mina" }, { user: null }]) forged(data);
  await turn();
  assert.equal(connection.state.name, "connected");
});

test("a socket that the gateway ends because of another user stops the page", async () => {
  const { gateway, connection } = await page(new Gateway(), {}, { cookie: true });
  assert.equal(gateway.stomp.config.connectHeaders["interact-user"], "paul");
  gateway.stomp.error({ message: "user_changed" }, "this is mina's session");
  gateway.stomp.close(4001);
  await turn();
  assert.equal(connection.state.name, "user_changed");
});

for (const [name, page] of Object.entries({
  "no list": { messages: {}, head: 1 },
  "no message": { messages: [{ seq: "x" }], head: 1 },
  "nothing": { messages: [null], head: 1 },
  "no end": { messages: [], head: 1, next: 0 },
  "no head": { messages: [] },
})) {
  test(`a history that makes no sense is asked again, calmly: ${name}`, async () => {
    const { gateway, heard } = await pageWithHistory(page);
    const before = gateway.asked.length;
    await turn();
    assert.deepEqual([gateway.asked.length, heard, gateway.reported], [before, [], []]);
    gateway.refusal = null;
    gateway.kept = [message(1)];
    await gateway.patience.pass();
    await gateway.open();
    assert.deepEqual(heard, [1]);
  });
}

/** A page that begins with a history like that. */
async function pageWithHistory(answer) {
  const gateway = new Gateway();
  gateway.refusal = (path) => (path.includes("/messages") ? Response.json(answer) : null);
  const heard = [];
  gateway.connect().room(42).subscribe(({ seq }) => heard.push(seq), { after: 0 });
  await gateway.patience.next();
  return { gateway, heard };
}

test("several events that tell of one waking ask the connection once", async () => {
  const { gateway } = await page();
  for (let n = 0; n < 5; n += 1) await gateway.wake();
  assert.equal(gateway.stomp.sent.length, 1);
});

test("a session that is somebody else's, however it is found out, stops the page", async () => {
  const { gateway, connection } = await page(new Gateway(), {}, { token: () => "a.b.c" });
  gateway.ignoresClaims = true;
  gateway.user = "mina";
  await assert.rejects(connection.session(), { code: "user_changed" });
  assert.deepEqual([connection.state.name, connection.state.other], ["user_changed", "mina"]);
});

test("a page's function that ends it for good is asked once", async () => {
  for (const how of ["token", "cookie"]) {
    const gateway = new Gateway();
    gateway.user = null;
    let asked = 0;
    const source = async () => {
      asked += 1;
      throw new Problem(401, "gave_up", "the user has closed the form");
    };
    const connection = gateway.connect({ [how]: source });
    await turn();
    await turn();
    assert.deepEqual([connection.state.name, connection.state.reason, asked], ["refused", "gave_up", 1]);
  }
});

test("a page that has a session enters with one question for it", async () => {
  const { gateway, connection } = await page(new Gateway(), {}, { cookie: true });
  assert.equal((await connection.session()).user, "paul");
  assert.equal(gateway.asks("GET /api/session").length, 1);
  await connection.session();
  assert.equal(gateway.asks("GET /api/session").length, 2);
});

test("a page that opens a room asks once what it is, and once who is there", async () => {
  const gateway = new Gateway();
  const room = gateway.connect({ cookie: true }).room(42);
  await room.info();
  room.subscribe(() => {});
  const presence = room.presence(() => {});
  await gateway.open();
  await presence.ready;
  const asked = (path) => gateway.asked.filter((each) => each === `GET ${path}`).length;
  assert.deepEqual([asked("/api/rooms/42"), asked("/api/rooms/42/presence")], [1, 1]);
});

test("where the line does not come up, the list of who is there comes all the same", async () => {
  const gateway = new Gateway();
  const presence = gateway.connect().room(42).presence(() => {});
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds === 2_000);
  await presence.ready;
  assert.equal(gateway.asks("GET /api/rooms/42/presence").length, 1);
});

test("a refusal after some silence is told, and the next silence asks again", async () => {
  const { gateway, room, heard } = await page();
  const problems = [];
  room.addEventListener("problem", ({ detail }) => problems.push(detail.status));
  gateway.refusal = (path) => (path.includes("/messages") ? problem(403, "access_refused")() : null);
  const silence = () => gateway.patience.passOne("wait", (milliseconds) => milliseconds === 40_000);
  await silence();
  await turn();
  gateway.refusal = null;
  gateway.kept.push(message(1));
  await silence();
  await turn();
  assert.deepEqual([problems, heard], [[403], [1]]);
});

test("a slow answer is waited for while the connection lives, and asked for again where it is dead", async () => {
  const { gateway, connection } = await page();
  let isGivenUp = false;
  const slow = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  gateway.slow = slow;
  connection.call("GET", "/api/rooms/42/slow").catch(() => (isGivenUp = true));
  await turn();
  await gateway.pass(10_000);
  gateway.stomp.pong();
  await gateway.pass(1_000);
  await gateway.pass(2_000);
  assert.equal(isGivenUp, false);
  await gateway.pass(10_000);
  await gateway.pass(2_000);
  assert.deepEqual([isGivenUp, gateway.connections.length], [true, 2]);
});

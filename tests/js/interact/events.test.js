import assert from "node:assert/strict";
import { test } from "node:test";
import { problem } from "./endpoint.js";
import { Gateway } from "./gateway.js";
import { message } from "./messages.js";
import { turn } from "./patience.js";

/** A page in a network without WebSocket, which subscribes to room 42. */
async function page({ gateway = new Gateway(), options = {}, how = undefined, open = true } = {}) {
  const connection = gateway.connect(how);
  const room = connection.room(42);
  const heard = [];
  const states = [];
  connection.addEventListener("state", ({ detail: { name, via } }) => states.push(`${name} ${via}`));
  const subscription = room.subscribe(({ seq, type }) => heard.push(seq ?? type), options);
  await gateway.block();
  if (open) await gateway.stream.joined();
  return { gateway, connection, room, subscription, heard, states };
}

/** The wait for the next trial of WebSocket. */
const isTrial = (milliseconds) => milliseconds >= 60_000;

test("where WebSocket is blocked messages come by server-sent events, and the state says so", async () => {
  const { gateway, connection, room, heard, states } = await page({ open: false });
  assert.equal(gateway.connections.length, 2);
  assert.equal(gateway.stream.path, "/api/rooms/42/events?audience=public&after=0");
  assert.deepEqual([gateway.stream.headers.Authorization, connection.state.name], ["Bearer a.b.c", "connecting"]);
  await gateway.stream.say(message(1));
  await gateway.stream.joined(1);
  assert.deepEqual([connection.state.name, connection.state.via], ["connected", "events"]);
  await gateway.stream.say(message(2));
  await gateway.stream.say(message(2));
  await gateway.stream.say(message(null, { type: "clap" }));
  assert.deepEqual(heard, [1, 2, "clap"]);
  assert.deepEqual(states.slice(-2), ["connecting events", "connected events"]);
  await room.post("by HTTP, as ever");
  assert.equal(gateway.asks("POST").length, 1);
});

test("after a break the stream goes on where it was", async () => {
  const { gateway, connection, heard } = await page();
  await gateway.stream.say(message(1));
  await gateway.stream.breakOff();
  assert.equal(connection.state.name, "waiting");
  await gateway.wake();
  await turn();
  assert.match(gateway.stream.path, /after=1$/);
  assert.equal(connection.state.name, "connecting");
  await gateway.stream.joined(1);
  await gateway.stream.say(message(2));
  assert.deepEqual([heard, gateway.streams.length, connection.state.via], [[1, 2], 2, "events"]);
});

test("a network that is down is no blocked one", async () => {
  const gateway = new Gateway();
  const connection = gateway.connect();
  connection.room(42).subscribe(() => {});
  await turn();
  gateway.user = null;
  for (let n = 0; n < 6; n += 1) {
    gateway.stomp.close(1006, false);
    await turn();
    await gateway.patience.passOne("wait", (milliseconds) => milliseconds < 35_000);
    await turn();
  }
  assert.deepEqual([gateway.streams.length, connection.state.via], [0, "websocket"]);
});

test("a page whose WebSocket has been open is slower to believe that it is blocked", async () => {
  const gateway = new Gateway();
  const connection = gateway.connect();
  connection.room(42).subscribe(() => {});
  await gateway.open();
  gateway.stomp.close(1006, false);
  await gateway.wake();
  await gateway.block();
  assert.deepEqual([gateway.connections.length, gateway.streams.length], [5, 1]);
});

test("a stream that does not get through gives way to WebSocket", async () => {
  const { gateway, connection } = await page({ open: false });
  await gateway.stream.breakOff();
  await gateway.wake();
  assert.deepEqual([gateway.connections.length, connection.state.via], [3, "websocket"]);
  await gateway.open();
  assert.equal(connection.state.name, "connected");
});

test("WebSocket is tried again, less and less often, and taken when it works", async () => {
  const { gateway, connection, heard } = await page();
  await gateway.stream.say(message(1));
  const waits = [];
  for (let n = 0; n < 2; n += 1) {
    waits.push(await gateway.patience.passOne("wait", isTrial));
    gateway.stomp.close(1006, false);
    await turn();
  }
  assert.deepEqual([waits, connection.state.via], [[60_000, 120_000], "events"]);
  await gateway.patience.passOne("wait", isTrial);
  gateway.clock.now += 400_000;
  gateway.stomp.connected();
  await turn();
  assert.ok(!gateway.streams[0].isOpen);
  await gateway.open();
  assert.deepEqual([connection.state.name, connection.state.via], ["connected", "websocket"]);
  assert.equal(gateway.stomp.subscriptions[0].headers["resume-after"], "1");
  gateway.say(message(2));
  assert.deepEqual(heard, [1, 2]);
});

test("WebSocket is not tried for ever", async () => {
  const { gateway } = await page();
  for (let n = 0; n < 6; n += 1) {
    await gateway.patience.passOne("wait", isTrial);
    gateway.stomp.close(1006, false);
    await turn();
  }
  await assert.rejects(gateway.patience.passOne("wait", isTrial));
});

test("who is sent away from the room learns why, and comes in again", async () => {
  const { gateway, connection, room, heard } = await page();
  gateway.refusal = problem(403, "access_refused");
  gateway.clock.now += 6_000;
  await gateway.stream.end("removed");
  await turn();
  assert.deepEqual([room.access.name, connection.state.name], ["out", "refused"]);
  gateway.refusal = null;
  await room.doubt();
  await turn();
  await gateway.wake();
  assert.equal(gateway.connections.length, 2, "it goes on by events");
  await gateway.stream.joined();
  await gateway.stream.say(message(1));
  assert.deepEqual([heard, connection.state.name], [[1], "connected"]);
});

test("what an admin ends does not come again", async () => {
  const { gateway, connection, room } = await page();
  await gateway.stream.end("kicked");
  await turn();
  assert.deepEqual([connection.state.name, connection.state.reason, gateway.streams.length], ["refused", "kicked", 1]);
  await assert.rejects(room.post("x"), { code: "kicked" });
});

test("the wait that the gateway asks for is kept", async () => {
  const { gateway, connection } = await page();
  await gateway.stream.end("draining", 4_000);
  assert.deepEqual([connection.state.name, connection.state.reason], ["waiting", "draining"]);
  await gateway.wake();
  assert.equal(gateway.streams.length, 1);
  const waited = await gateway.patience.passOne("wait", (milliseconds) => milliseconds >= 4_000 && milliseconds < 20_000);
  assert.ok(waited >= 4_000);
  await turn();
  assert.equal(gateway.streams.length, 2);
});

test("a silent stream is dead, sooner when the device has woken", async () => {
  const { gateway, connection } = await page();
  gateway.clock.now += 14_000;
  await gateway.stream.write(":\n\n");
  await gateway.pass(24_000, false);
  assert.ok(gateway.streams[0].isOpen);
  await gateway.pass(1_000, false);
  assert.deepEqual([gateway.streams[0].isOpen, gateway.connections.length], [false, 2]);
  await gateway.wake();
  await turn();
  await gateway.stream.joined();
  await gateway.wake();
  assert.ok(gateway.stream.isOpen);
  gateway.clock.now += 3_000;
  await gateway.wake();
  await turn();
  assert.deepEqual([gateway.streams.map(({ isOpen }) => isOpen), connection.state.via], [[false, false, true], "events"]);
});

test("a host's queue is served by the private topic, from where it was handled", async () => {
  const gateway = new Gateway();
  gateway.role = "host";
  const connection = gateway.connect();
  const room = connection.room(42);
  const handled = [];
  let isDown = false;
  room.private(({ seq }) => {
    if (isDown) throw new Error("not now");
    handled.push(seq);
  });
  await gateway.block();
  assert.equal(gateway.stream.path, "/api/rooms/42/events?audience=private&after=0");
  await gateway.stream.joined();
  const asked = (seq) => gateway.stream.say(message(seq, { audience: "private" }));
  await asked(4);
  isDown = true;
  await asked(6);
  isDown = false;
  await asked(7);
  assert.deepEqual(handled, [4, 7]);
  const topic = [];
  const own = room.subscribe(({ seq }) => topic.push(seq), { audience: "private", after: 6 });
  await turn();
  assert.equal(gateway.streams.filter(({ isOpen }) => isOpen).length, 1, "one stream serves both");
  assert.match(gateway.stream.path, /after=5$/);
  await gateway.stream.joined();
  await own.ready;
  for (const seq of [6, 7, 8]) await asked(seq);
  assert.deepEqual([handled, topic], [[4, 7, 6, 8], [7, 8]]);
  own.close();
  await asked(9);
  assert.deepEqual([handled.at(-1), topic.at(-1)], [9, 8]);
});

test("a stream goes on with the new token when the old one ends", async () => {
  const tokens = ["old", "new"];
  const { gateway } = await page({ how: { token: () => tokens.shift() ?? "newest" } });
  assert.equal(gateway.stream.headers.Authorization, "Bearer old");
  gateway.refusal = (path) => (path.includes("/events") && tokens.length === 1 ? problem(401, "token_expired")() : null);
  await gateway.stream.end("token_expired");
  await turn();
  await turn();
  await gateway.patience.passOne("wait", (milliseconds) => milliseconds < 35_000).catch(() => {});
  await turn();
  assert.equal(gateway.stream.headers.Authorization, "Bearer new");
});

test("a room's identity goes with the stream, and another room is none", async () => {
  const gateway = new Gateway();
  gateway.identity = "a1";
  const { room } = await page({ gateway });
  assert.match(gateway.stream.path, /&identity=a1$/);
  gateway.identity = "b2";
  gateway.refusal = (path) => (path.includes("/events") ? problem(410, "room_replaced")() : null);
  await gateway.stream.breakOff();
  await gateway.wake();
  await turn();
  assert.equal(room.access.problem?.code, "room_replaced");
});

test("where nothing can be resumed the history tells what was missed", async () => {
  const { gateway, heard } = await page();
  gateway.refusal = (path) => (/events.*after=/.test(path) ? problem(400, "invalid_request")() : null);
  gateway.clock.now += 6_000;
  await gateway.stream.breakOff();
  await gateway.wake();
  await turn();
  await gateway.wake();
  await turn();
  assert.ok(!gateway.stream.path.includes("events?audience=public&after"), gateway.stream.path);
  gateway.kept.push(message(1));
  await gateway.stream.joined(1);
  await turn();
  assert.deepEqual(heard, [1]);
});

test("a proxy that answers with a page of its own is no stream", async () => {
  const gateway = new Gateway();
  gateway.refusal = (path) => (path.includes("/events") ? new Response(new ReadableStream({})) : null);
  const connection = gateway.connect();
  connection.room(42).subscribe(() => {});
  for (let n = 0; n < 2; n += 1) {
    await turn();
    gateway.stomp.close(1006, false);
    await turn();
    await gateway.wake();
    await turn();
  }
  assert.deepEqual([connection.state.name, connection.state.via], ["waiting", "websocket"]);
});

test("closing ends the streams", async () => {
  const { gateway, connection } = await page();
  connection.close();
  await turn();
  assert.deepEqual([gateway.stream.isOpen, connection.state.name], [false, "closed"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Live } from "../../../static/interact/live.js";
import { Problem } from "../../../static/interact/problem.js";
import { StompClient } from "./stomp-client.js";
import { Patience, turn } from "./patience.js";

/** A running Live, its connections, and the states that it has reported. */
function running({
  credentials = {},
  subscriptions = [],
  notKept = async () => {},
  excluded = async () => {},
  ...others
} = {}) {
  const patience = new Patience();
  const clock = { now: 0 };
  const connections = [];
  const states = [];
  const told = { dead: 0 };
  const live = new Live({
    client: (config) => {
      const stomp = new StompClient(config);
      connections.push(stomp);
      return stomp;
    },
    url: "ws://gateway/ws",
    credentials: { user: null, token: async () => null, check: async () => {}, ...credentials },
    changed: (state) => states.push(state),
    notKept,
    excluded,
    dead: () => (told.dead += 1),
    now: () => clock.now,
    elapsed: () => clock.now,
    patience,
    ...others,
  });
  for (const subscription of subscriptions) live.add(subscription);
  const names = () => states.map(({ name }) => name);
  return { live, clock, connections, told, states, names, patience, ended: live.run() };
}

/** A subscription, and the calls that it has got. */
function topic(id = "t", headers = () => ({})) {
  const told = [];
  return {
    ...{ id, destination: `/topic/${id}`, headers, told },
    received: ({ body }) => told.push(body),
    opened: () => told.push("opened"),
    refused: (reason) => told.push(reason),
  };
}

test("it is connected when every subscription has its receipt", async () => {
  const { connections, names } = running({ subscriptions: [topic("a"), topic("b")] });
  await turn();
  connections[0].connected();
  connections[0].receipt("a");
  assert.deepEqual(names(), ["connecting"]);
  connections[0].receipt("b");
  assert.deepEqual(names(), ["connecting", "connected"]);
});

test("it is not connected before what is on its way has come, or failed", async () => {
  const { live, connections, names } = running();
  let fail;
  live.expect(new Promise((_, reject) => (fail = reject)));
  await turn();
  connections[0].open();
  assert.deepEqual(names(), ["connecting"]);
  fail(new Error("refused"));
  await turn();
  assert.deepEqual(names(), ["connecting", "connected"]);
  live.expect(Promise.resolve());
  await turn();
  assert.equal(names().length, 2);
});

test("a token goes with CONNECT, and none where a cookie says it", async () => {
  const { connections } = running({ credentials: { token: async () => "a.b.c" } });
  await turn();
  assert.deepEqual(connections[0].config.connectHeaders, { passcode: "a.b.c" });
  const { connections: others } = running();
  await turn();
  assert.deepEqual(others[0].config.connectHeaders, {});
});

test("no timer of a sleeping tab is needed to keep the connection", async () => {
  const { connections } = running();
  await turn();
  assert.equal(connections[0].config.heartbeatOutgoing, 0);
  assert.ok(connections[0].config.heartbeatIncoming > 0);
});

test("every connection subscribes again, with the headers of then", async () => {
  let position = 7;
  const subscription = topic("t", () => ({ "resume-after": `${position}` }));
  const { connections, patience } = running({ subscriptions: [subscription] });
  await turn();
  connections[0].open();
  position = 9;
  connections[0].close(1006, false);
  await patience.pass();
  connections[1].open();
  assert.deepEqual(
    connections.map(({ subscriptions: [{ headers }] }) => [headers.id, headers["resume-after"]]),
    [
      ["t", "7"],
      ["t", "9"],
    ],
  );
  assert.deepEqual(subscription.told, ["opened", "opened"]);
});

test("what is added to an open connection is subscribed at once, and unsubscribed when removed", async () => {
  const { live, connections } = running();
  await turn();
  connections[0].open();
  const subscription = topic();
  live.add(subscription);
  connections[0].receipt("t");
  connections[0].message("t", "hello");
  live.remove(subscription);
  assert.deepEqual(subscription.told, ["opened", "hello"]);
  assert.deepEqual(connections[0].unsubscribed, ["t"]);
});

test("a lost connection is dialled again, later and later, earlier if something good happens", async () => {
  const { connections, states, patience } = running();
  for (let n = 0; n < 3; n += 1) {
    await turn();
    connections[n].close(1005, false);
    await turn();
    assert.deepEqual(await patience.next(), ["nap", 250 + 1000 * 2 ** n]);
    await patience.pass();
  }
  assert.equal(connections.length, 4);
  const { name, code, retryAt } = states[1];
  assert.deepEqual([name, code, retryAt], ["waiting", 1006, 1250]);
});

test("after a connection that stood, the waits begin anew; one that fell at once does not count", async () => {
  const { connections, clock, patience } = running();
  const fall = async (stomp) => {
    stomp.close(1006, false);
    const [, wait] = await patience.next();
    await patience.pass();
    return wait;
  };
  await turn();
  assert.equal(await fall(connections[0]), 1250);
  connections[1].open();
  clock.now += 4_000;
  assert.equal(await fall(connections[1]), 2250);
  connections[2].open();
  clock.now += 6_000;
  assert.equal(await fall(connections[2]), 1250);
});

for (const code of [1012, 1013]) {
  test(`the wait that an ERROR before ${code} asks for is kept, and nothing ends it early`, async () => {
    const { connections, states, patience } = running();
    await turn();
    connections[0].error({ message: "draining", "retry-after": "6000" }, "the gateway is draining");
    connections[0].close(code);
    assert.deepEqual(await patience.next(), ["wait", 6000 + 1000]);
    assert.deepEqual(states.at(-1), {
      ...{ name: "waiting", code, reason: "draining", detail: "the gateway is draining" },
      retryAt: 7000,
    });
    await patience.pass();
    assert.equal(connections.length, 2);
  });
}

test("who is sent away for good does not come again", async () => {
  const { connections, states, ended } = running();
  await turn();
  connections[0].error({ message: "kicked" }, "an admin has ended this connection");
  connections[0].close(4003);
  await ended;
  const { name, reason, detail } = states.at(-1);
  assert.deepEqual([name, reason, detail], ["refused", "kicked", "an admin has ended this connection"]);
  assert.equal(connections.length, 1);
});

test("who is refused goes on without what is not allowed, or waits for something that is", async () => {
  const [lost, kept] = [topic("lost"), topic("kept")];
  let live;
  const excluded = async () => live.remove(lost);
  const page = running({ subscriptions: [lost, kept], excluded });
  live = page.live;
  const { connections, names } = page;
  await turn();
  connections[0].close(4003);
  await turn();
  connections[1].open();
  assert.deepEqual(connections[1].subscriptions.map(({ headers }) => headers.id), ["kept"]);
  page.clock.now += 6_000;
  live.remove(kept);
  connections[1].close(4003);
  await turn();
  await turn();
  assert.deepEqual([connections.length, names().at(-1)], [2, "refused"]);
  live.add(lost);
  await turn();
  assert.equal(connections.length, 3);
});

test("who waits for something to hear can leave", async () => {
  const { connections, patience, ended } = running();
  await turn();
  connections[0].close(4003);
  await turn();
  patience.leave();
  await assert.rejects(ended, { name: "AbortError" });
});

test("CONNECT says who the page is, once that is known", async () => {
  const { connections } = running({ credentials: { user: "김: 민아", token: async () => "a.b.c" } });
  await turn();
  assert.deepEqual(connections[0].config.connectHeaders, { passcode: "a.b.c", "interact-user": "김: 민아" });
});

test("where somebody else is logged in it ends, and gets no new session", async () => {
  const { connections, states, ended } = running({ credentials: { renew: assert.fail } });
  await turn();
  connections[0].error({ message: "user_changed" }, "");
  connections[0].close(4001);
  await ended;
  assert.deepEqual([states.at(-1).name, states.at(-1).reason], ["refused", "user_changed"]);
});

test("who was too slow resumes at once, but not again and again", async () => {
  const { connections, patience } = running();
  await turn();
  connections[0].close(4008);
  await turn();
  assert.equal(connections.length, 2);
  connections[1].close(4008);
  assert.deepEqual(await patience.next(), ["nap", 2250]);
});

test("where the token has ended, a new one comes first", async () => {
  let renewed;
  let token = "old";
  const credentials = {
    token: async () => token,
    renew: () => new Promise((resolve) => (renewed = resolve)),
  };
  const { connections, names } = running({ credentials });
  await turn();
  connections[0].close(4001);
  await turn();
  assert.deepEqual([connections.length, names().at(-1)], [1, "unauthenticated"]);
  token = "new";
  renewed();
  await turn();
  assert.equal(connections[1].config.connectHeaders.passcode, "new");
});

test("where there is no other token it ends", async () => {
  const renew = async () => {
    throw new Problem(401, "token_expired", "there is no other one");
  };
  const { connections, states, ended } = running({ credentials: { renew } });
  await turn();
  connections[0].close(4001);
  await ended;
  assert.deepEqual([states.at(-1).name, states.at(-1).reason], ["refused", "token_expired"]);
});

test("a login server that is away is asked again", async () => {
  let away = true;
  const token = async () => {
    if (away) throw new Problem(0, "no_credentials", "");
    return "late";
  };
  const { connections, names, patience } = running({ credentials: { token } });
  await patience.next();
  assert.deepEqual(names(), ["connecting", "unauthenticated"]);
  away = false;
  await patience.pass();
  assert.equal(connections.length, 1);
});

test("a handshake that a browser does not explain may want a new session", async () => {
  let renewals = 0;
  const credentials = {
    check: async () => {
      throw new Problem(401, "token_expired", "");
    },
    renew: async () => (renewals += 1),
  };
  const { connections, names, patience } = running({ credentials });
  await turn();
  connections[0].close(1006, false);
  await patience.pass();
  assert.deepEqual([renewals, connections.length], [1, 2]);
  assert.equal(names().at(-2), "unauthenticated");
});

test("where what is missing is no longer kept, it finds out what is, and goes on", async () => {
  let asked = 0;
  const { connections } = running({ notKept: async () => (asked += 1) });
  await turn();
  connections[0].error({ message: "not_kept" }, "");
  connections[0].close(4003);
  await turn();
  assert.deepEqual([asked, connections.length], [1, 2]);
});

test("a subscription hears why it was refused", async () => {
  const [one, other] = [topic("a"), topic("b")];
  const { connections } = running({ subscriptions: [one, other] });
  await turn();
  connections[0].connected();
  connections[0].receipt("a");
  connections[0].refuse("b", "invalid_request");
  assert.deepEqual([one.told, other.told], [["opened"], ["invalid_request"]]);
});

test("a connection that does not answer when the device wakes is given up and dialled again at once", async () => {
  const { live, connections, clock, patience, told } = running();
  await turn();
  connections[0].open();
  clock.now += 3_000;
  live.wake();
  const [{ destination, headers, body }] = connections[0].sent;
  assert.deepEqual([destination, body], ["/gateway/ping", ""]);
  assert.ok(headers.receipt);
  clock.now += 1_000;
  live.pulse();
  await turn();
  assert.equal(connections.length, 1);
  clock.now += 1_000;
  live.pulse();
  await turn();
  assert.deepEqual([connections.length, patience.waits, told.dead], [2, [], 1]);
});

for (const [name, live] of Object.entries({
  "answers": (stomp) => stomp.pong(),
  "sends a heart-beat": (stomp) => stomp.heartBeat(),
  "sends a message": (stomp) => stomp.message("t", "{}"),
})) {
  test(`a connection that ${name} when the device wakes stays, and a later loss is no reason to hurry`, async () => {
    const page = running({ subscriptions: [topic()] });
    await turn();
    const [stomp] = page.connections;
    stomp.open();
    page.live.wake();
    live(stomp);
    for (let n = 0; n < 10; n += 1) {
      page.clock.now += 1_000;
      page.live.pulse();
    }
    stomp.close(1006, false);
    assert.deepEqual(await page.patience.next(), ["nap", 1250]);
  });
}

test("a network that is back while HTTP is asked whether it works is used at once", async () => {
  let answer = () => {};
  const reach = () => new Promise((_, reject) => (answer = () => reject(new Problem(0, "unreachable", ""))));
  const { live, connections, told, patience } = running({ events: () => {}, reach });
  await turn();
  connections[0].close(1006, false);
  await turn();
  live.wake();
  answer();
  await turn();
  assert.deepEqual([connections.length, told.dead, patience.waits.length], [2, 1, 0]);
  // Once: the next dial that fails is followed by a wait.
  connections[1].close(1006, false);
  await turn();
  answer();
  await turn();
  assert.deepEqual([connections.length, patience.waits.length], [2, 1]);
});

test("a gateway that is busy with our subscriptions has longer to answer", async () => {
  const { live, connections, clock } = running({ subscriptions: [topic()] });
  await turn();
  connections[0].connected();
  live.wake();
  clock.now += 9_000;
  live.pulse();
  await turn();
  assert.equal(connections.length, 1);
  clock.now += 1_000;
  live.pulse();
  await turn();
  assert.equal(connections.length, 2);
});

test("a dial that slept with the device is made anew, a young one is not", async () => {
  const { live, connections, clock } = running();
  await turn();
  clock.now += 2_000;
  live.wake();
  await turn();
  assert.equal(connections.length, 1);
  clock.now += 1_000;
  live.wake();
  await turn();
  assert.equal(connections.length, 2);
});

test("after a long silence the gateway is asked, and given up if it says nothing", async () => {
  const { live, connections, clock, patience } = running();
  await turn();
  connections[0].open();
  const pass = (seconds) => {
    for (let n = 0; n < seconds; n += 1) {
      clock.now += 1_000;
      live.pulse();
    }
  };
  pass(14);
  connections[0].heartBeat();
  pass(14);
  assert.deepEqual(connections[0].sent, []);
  pass(1);
  assert.equal(connections[0].sent.length, 1);
  pass(2);
  assert.deepEqual(await patience.next(), ["nap", 1250]);
});

test("the clock on the wall kills no connection and keeps none", async () => {
  const { connections } = running();
  await turn();
  assert.equal(connections[0].config.heartbeatToleranceMultiplier, Infinity);
});

test("a connection that was given up for dead counts as lost, not as logged out", async () => {
  // stompjs reports such a close as 4001, which has another meaning here.
  const { connections, names } = running();
  await turn();
  connections[0].close(4001, false);
  await turn();
  assert.equal(names()[1], "waiting");
});

test("a new token is told to an open connection, and to no other", async () => {
  const { live, connections } = running();
  await turn();
  live.renew("too early");
  connections[0].open();
  live.renew("fresh");
  assert.deepEqual(connections[0].sent, [{ destination: "/gateway/token", body: "fresh" }]);
});

test("leaving ends the connection and all that would follow", async () => {
  const { connections, patience, ended } = running();
  await turn();
  patience.leave();
  await assert.rejects(ended, { name: "AbortError" });
  assert.deepEqual([connections.length, connections[0].left], [1, true]);
});

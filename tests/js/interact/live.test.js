import assert from "node:assert/strict";
import { test } from "node:test";
import { Live } from "../../../static/interact/live.js";
import { Problem } from "../../../static/interact/problem.js";
import { StompClient } from "./stomp-client.js";
import { Patience, turn } from "./patience.js";

/** A running Live, its connections, and the states that it has reported. */
function running({ credentials = {}, subscriptions = [], notKept = async () => {}, excluded = async () => {} } = {}) {
  const patience = new Patience();
  const clock = { now: 0 };
  const lines = [];
  const states = [];
  const told = { dead: 0 };
  const live = new Live({
    client: (config) => {
      const line = new StompClient(config);
      lines.push(line);
      return line;
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
  });
  for (const subscription of subscriptions) live.add(subscription);
  const names = () => states.map(({ name }) => name);
  return { live, clock, lines, told, states, names, patience, ended: live.run() };
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
  const { lines, names } = running({ subscriptions: [topic("a"), topic("b")] });
  await turn();
  lines[0].connected();
  lines[0].receipt("a");
  assert.deepEqual(names(), ["connecting"]);
  lines[0].receipt("b");
  assert.deepEqual(names(), ["connecting", "connected"]);
});

test("it is not connected before what is on its way has come, or failed", async () => {
  const { live, lines, names } = running();
  let fail;
  live.expect(new Promise((_, reject) => (fail = reject)));
  await turn();
  lines[0].open();
  assert.deepEqual(names(), ["connecting"]);
  fail(new Error("refused"));
  await turn();
  assert.deepEqual(names(), ["connecting", "connected"]);
  live.expect(Promise.resolve());
  await turn();
  assert.equal(names().length, 2);
});

test("a token goes with CONNECT, and none where a cookie says it", async () => {
  const { lines } = running({ credentials: { token: async () => "a.b.c" } });
  await turn();
  assert.deepEqual(lines[0].config.connectHeaders, { passcode: "a.b.c" });
  const { lines: others } = running();
  await turn();
  assert.deepEqual(others[0].config.connectHeaders, {});
});

test("no timer of a sleeping tab is needed to keep the line", async () => {
  const { lines } = running();
  await turn();
  assert.equal(lines[0].config.heartbeatOutgoing, 0);
  assert.ok(lines[0].config.heartbeatIncoming > 0);
});

test("every connection subscribes again, with the headers of then", async () => {
  let position = 7;
  const subscription = topic("t", () => ({ "resume-after": `${position}` }));
  const { lines, patience } = running({ subscriptions: [subscription] });
  await turn();
  lines[0].open();
  position = 9;
  lines[0].close(1006, false);
  await patience.pass();
  lines[1].open();
  assert.deepEqual(
    lines.map(({ subscriptions: [{ headers }] }) => [headers.id, headers["resume-after"]]),
    [
      ["t", "7"],
      ["t", "9"],
    ],
  );
  assert.deepEqual(subscription.told, ["opened", "opened"]);
});

test("what is added to an open line is subscribed at once, and unsubscribed when removed", async () => {
  const { live, lines } = running();
  await turn();
  lines[0].open();
  const subscription = topic();
  live.add(subscription);
  lines[0].receipt("t");
  lines[0].message("t", "hello");
  live.remove(subscription);
  assert.deepEqual(subscription.told, ["opened", "hello"]);
  assert.deepEqual(lines[0].unsubscribed, ["t"]);
});

test("a lost line is dialled again, later and later, earlier if something good happens", async () => {
  const { lines, states, patience } = running();
  for (let n = 0; n < 3; n += 1) {
    await turn();
    lines[n].close(1005, false);
    await turn();
    assert.deepEqual(await patience.next(), ["nap", 250 + 1000 * 2 ** n]);
    await patience.pass();
  }
  assert.equal(lines.length, 4);
  const { name, code, retryAt } = states[1];
  assert.deepEqual([name, code, retryAt], ["waiting", 1006, 1250]);
});

test("after a line that stood, the waits begin anew; one that fell at once does not count", async () => {
  const { lines, clock, patience } = running();
  const fall = async (line) => {
    line.close(1006, false);
    const [, wait] = await patience.next();
    await patience.pass();
    return wait;
  };
  await turn();
  assert.equal(await fall(lines[0]), 1250);
  lines[1].open();
  clock.now += 4_000;
  assert.equal(await fall(lines[1]), 2250);
  lines[2].open();
  clock.now += 6_000;
  assert.equal(await fall(lines[2]), 1250);
});

for (const code of [1012, 1013]) {
  test(`the wait that an ERROR before ${code} asks for is kept, and nothing ends it early`, async () => {
    const { lines, states, patience } = running();
    await turn();
    lines[0].error({ message: "draining", "retry-after": "6000" }, "the gateway is draining");
    lines[0].close(code);
    assert.deepEqual(await patience.next(), ["wait", 6000 + 1000]);
    assert.deepEqual(states.at(-1), {
      ...{ name: "waiting", code, reason: "draining", detail: "the gateway is draining" },
      retryAt: 7000,
    });
    await patience.pass();
    assert.equal(lines.length, 2);
  });
}

test("who is sent away for good does not come again", async () => {
  const { lines, states, ended } = running();
  await turn();
  lines[0].error({ message: "kicked" }, "an admin has ended this connection");
  lines[0].close(4003);
  await ended;
  const { name, reason, detail } = states.at(-1);
  assert.deepEqual([name, reason, detail], ["refused", "kicked", "an admin has ended this connection"]);
  assert.equal(lines.length, 1);
});

test("who is refused goes on without what is not allowed, or waits for something that is", async () => {
  const [lost, kept] = [topic("lost"), topic("kept")];
  let live;
  const excluded = async () => live.remove(lost);
  const page = running({ subscriptions: [lost, kept], excluded });
  live = page.live;
  const { lines, names } = page;
  await turn();
  lines[0].close(4003);
  await turn();
  lines[1].open();
  assert.deepEqual(lines[1].subscriptions.map(({ headers }) => headers.id), ["kept"]);
  page.clock.now += 6_000;
  live.remove(kept);
  lines[1].close(4003);
  await turn();
  await turn();
  assert.deepEqual([lines.length, names().at(-1)], [2, "refused"]);
  live.add(lost);
  await turn();
  assert.equal(lines.length, 3);
});

test("who waits for something to hear can leave", async () => {
  const { lines, patience, ended } = running();
  await turn();
  lines[0].close(4003);
  await turn();
  patience.leave();
  await assert.rejects(ended, { name: "AbortError" });
});

test("CONNECT says who the page is, once that is known", async () => {
  const { lines } = running({ credentials: { user: "김: 민아", token: async () => "a.b.c" } });
  await turn();
  assert.deepEqual(lines[0].config.connectHeaders, { passcode: "a.b.c", "interact-user": "김: 민아" });
});

test("where somebody else is logged in it ends, and gets no new session", async () => {
  const { lines, states, ended } = running({ credentials: { renew: assert.fail } });
  await turn();
  lines[0].error({ message: "user_changed" }, "");
  lines[0].close(4001);
  await ended;
  assert.deepEqual([states.at(-1).name, states.at(-1).reason], ["refused", "user_changed"]);
});

test("who was too slow resumes at once, but not again and again", async () => {
  const { lines, patience } = running();
  await turn();
  lines[0].close(4008);
  await turn();
  assert.equal(lines.length, 2);
  lines[1].close(4008);
  assert.deepEqual(await patience.next(), ["nap", 2250]);
});

test("where the token has ended, a new one comes first", async () => {
  let renewed;
  let token = "old";
  const credentials = {
    token: async () => token,
    renew: () => new Promise((resolve) => (renewed = resolve)),
  };
  const { lines, names } = running({ credentials });
  await turn();
  lines[0].close(4001);
  await turn();
  assert.deepEqual([lines.length, names().at(-1)], [1, "unauthenticated"]);
  token = "new";
  renewed();
  await turn();
  assert.equal(lines[1].config.connectHeaders.passcode, "new");
});

test("where there is no other token it ends", async () => {
  const renew = async () => {
    throw new Problem(401, "token_expired", "there is no other one");
  };
  const { lines, states, ended } = running({ credentials: { renew } });
  await turn();
  lines[0].close(4001);
  await ended;
  assert.deepEqual([states.at(-1).name, states.at(-1).reason], ["refused", "token_expired"]);
});

test("a login server that is away is asked again", async () => {
  let away = true;
  const token = async () => {
    if (away) throw new Problem(0, "no_credentials", "");
    return "late";
  };
  const { lines, names, patience } = running({ credentials: { token } });
  await patience.next();
  assert.deepEqual(names(), ["connecting", "unauthenticated"]);
  away = false;
  await patience.pass();
  assert.equal(lines.length, 1);
});

test("a handshake that a browser does not explain may want a new session", async () => {
  let renewals = 0;
  const credentials = {
    check: async () => {
      throw new Problem(401, "token_expired", "");
    },
    renew: async () => (renewals += 1),
  };
  const { lines, names, patience } = running({ credentials });
  await turn();
  lines[0].close(1006, false);
  await patience.pass();
  assert.deepEqual([renewals, lines.length], [1, 2]);
  assert.equal(names().at(-2), "unauthenticated");
});

test("where what is missing is no longer kept, it finds out what is, and goes on", async () => {
  let asked = 0;
  const { lines } = running({ notKept: async () => (asked += 1) });
  await turn();
  lines[0].error({ message: "not_kept" }, "");
  lines[0].close(4003);
  await turn();
  assert.deepEqual([asked, lines.length], [1, 2]);
});

test("a subscription hears why it was refused", async () => {
  const [one, other] = [topic("a"), topic("b")];
  const { lines } = running({ subscriptions: [one, other] });
  await turn();
  lines[0].connected();
  lines[0].receipt("a");
  lines[0].refuse("b", "invalid_request");
  assert.deepEqual([one.told, other.told], [["opened"], ["invalid_request"]]);
});

test("a line that does not answer when the device wakes is given up and dialled again at once", async () => {
  const { live, lines, clock, patience, told } = running();
  await turn();
  lines[0].open();
  clock.now += 3_000;
  live.wake();
  const [{ destination, headers, body }] = lines[0].sent;
  assert.deepEqual([destination, body], ["/gateway/ping", ""]);
  assert.ok(headers.receipt);
  clock.now += 1_000;
  live.pulse();
  await turn();
  assert.equal(lines.length, 1);
  clock.now += 1_000;
  live.pulse();
  await turn();
  assert.deepEqual([lines.length, patience.waits, told.dead], [2, [], 1]);
});

for (const [name, live] of Object.entries({
  "answers": (line) => line.pong(),
  "sends a heart-beat": (line) => line.heartBeat(),
  "sends a message": (line) => line.message("t", "{}"),
})) {
  test(`a line that ${name} when the device wakes stays, and a later loss is no reason to hurry`, async () => {
    const page = running({ subscriptions: [topic()] });
    await turn();
    const [line] = page.lines;
    line.open();
    page.live.wake();
    live(line);
    for (let n = 0; n < 10; n += 1) {
      page.clock.now += 1_000;
      page.live.pulse();
    }
    line.close(1006, false);
    assert.deepEqual(await page.patience.next(), ["nap", 1250]);
  });
}

test("a gateway that is busy with our subscriptions has longer to answer", async () => {
  const { live, lines, clock } = running({ subscriptions: [topic()] });
  await turn();
  lines[0].connected();
  live.wake();
  clock.now += 9_000;
  live.pulse();
  await turn();
  assert.equal(lines.length, 1);
  clock.now += 1_000;
  live.pulse();
  await turn();
  assert.equal(lines.length, 2);
});

test("a dial that slept with the device is made anew, a young one is not", async () => {
  const { live, lines, clock } = running();
  await turn();
  clock.now += 2_000;
  live.wake();
  await turn();
  assert.equal(lines.length, 1);
  clock.now += 1_000;
  live.wake();
  await turn();
  assert.equal(lines.length, 2);
});

test("after a long silence the gateway is asked, and given up if it says nothing", async () => {
  const { live, lines, clock, patience } = running();
  await turn();
  lines[0].open();
  const pass = (seconds) => {
    for (let n = 0; n < seconds; n += 1) {
      clock.now += 1_000;
      live.pulse();
    }
  };
  pass(14);
  lines[0].heartBeat();
  pass(14);
  assert.deepEqual(lines[0].sent, []);
  pass(1);
  assert.equal(lines[0].sent.length, 1);
  pass(2);
  assert.deepEqual(await patience.next(), ["nap", 1250]);
});

test("the clock on the wall kills no line and keeps none", async () => {
  const { lines } = running();
  await turn();
  assert.equal(lines[0].config.heartbeatToleranceMultiplier, Infinity);
});

test("a line that was given up for dead counts as lost, not as logged out", async () => {
  // stompjs reports such a close as 4001, which has another meaning here.
  const { lines, names } = running();
  await turn();
  lines[0].close(4001, false);
  await turn();
  assert.equal(names()[1], "waiting");
});

test("a new token is told to an open line, and to no other", async () => {
  const { live, lines } = running();
  await turn();
  live.renew("too early");
  lines[0].open();
  live.renew("fresh");
  assert.deepEqual(lines[0].sent, [{ destination: "/gateway/token", body: "fresh" }]);
});

test("leaving ends the line and all that would follow", async () => {
  const { lines, patience, ended } = running();
  await turn();
  patience.leave();
  await assert.rejects(ended, { name: "AbortError" });
  assert.deepEqual([lines.length, lines[0].left], [1, true]);
});

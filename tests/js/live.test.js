import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../static/js/api-error.js";
import { Live } from "../../static/js/live.js";
import { Patience } from "./patience.js";

/** What a page sees of one connection, with the gateway's side in the test's hand. */
class Connection {
  receipts = new Map();
  subscriptions = [];
  left = false;

  constructor(config) {
    this.config = config;
  }

  activate() {}

  async deactivate() {
    this.left = true;
    this.close(1000);
  }

  watchForReceipt(id, received) {
    this.receipts.set(id, received);
  }

  subscribe(destination, received, headers) {
    this.subscriptions.push({ destination, received, headers });
  }

  open() {
    this.config.onConnect();
    for (const received of this.receipts.values()) received();
  }

  error(headers, body) {
    this.config.onStompError({ headers, body });
  }

  close(code, wasClean = true) {
    this.config.onWebSocketClose({ code, wasClean });
  }
}

/** A Live that runs, its connections, and the states it told. */
function running({ session = async () => {}, subscriptions = [] } = {}) {
  const patience = new Patience();
  const naps = [];
  const connections = [];
  const states = [];
  const live = new Live({
    client: (config) => {
      const connection = new Connection(config);
      connections.push(connection);
      return connection;
    },
    url: "ws://gateway/ws",
    subscriptions,
    changed: (state) => states.push(state),
    session,
    nap: async (milliseconds) => naps.push(milliseconds),
    patience,
  });
  const names = () => states.map(({ name }) => name);
  return { connections, states, names, naps, patience, ended: live.run() };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const topic = (received = () => {}) => ({ destination: "/topic/t", headers: {}, received });

test("it is connected when every subscription has its receipt", () => {
  const { connections, names } = running({ subscriptions: [topic(), topic()] });
  const [connection] = connections;
  connection.config.onConnect();
  const [first, second] = connection.receipts.values();
  first();
  assert.deepEqual(names(), ["connecting"]);
  second();
  assert.deepEqual(names(), ["connecting", "connected"]);
  const ids = connection.subscriptions.map(({ headers }) => headers.receipt);
  assert.deepEqual(ids, [...connection.receipts.keys()]);
});

test("a message of the queue is acknowledged after it was shown", () => {
  const course = [];
  const queue = {
    destination: "/queue/q",
    headers: { ack: "client-individual" },
    received: (body) => course.push(body),
  };
  const { connections } = running({ subscriptions: [queue] });
  connections[0].open();
  const [{ received }] = connections[0].subscriptions;
  received({ body: "shown", ack: () => course.push("acknowledged") });
  assert.deepEqual(course, ["shown", "acknowledged"]);
});

test("what could not be shown is not acknowledged, and a topic's message never", () => {
  const broken = () => {
    throw new Error("cannot be shown");
  };
  const queue = {
    destination: "/queue/q",
    headers: { ack: "client-individual" },
    received: broken,
  };
  const { connections } = running({ subscriptions: [queue, topic()] });
  connections[0].open();
  const ack = () => assert.fail("acknowledged");
  const [queued, live] = connections[0].subscriptions;
  assert.throws(() => queued.received({ body: "", ack }), /cannot be shown/);
  live.received({ body: "", ack });
});

test("a lost connection is made again, later and later", async () => {
  const { connections, states, naps } = running();
  for (let n = 0; n < 3; n += 1) {
    connections[n].close(1005, false);
    await turn();
  }
  assert.equal(connections.length, 4);
  assert.deepEqual(naps, [1250, 2250, 4250]);
  assert.deepEqual([states[1].meaning, states[1].end.closeCode], ["lost", 1006]);
});

test("after a connection that stood, the waits begin anew", async () => {
  const { connections, naps } = running({ subscriptions: [topic()] });
  connections[0].close(1006, false);
  await turn();
  connections[1].open();
  connections[1].close(1006, false);
  await turn();
  assert.deepEqual(naps, [1250, 1250]);
});

test("the wait that the ERROR frame asks for is kept, and nothing ends it early", async () => {
  const { connections, states, naps, patience } = running();
  connections[0].error({ message: "draining", "retry-after": "6000" }, "the gateway is draining");
  connections[0].close(1012);
  assert.equal(await patience.next(), 6000 + 1000);
  assert.deepEqual(naps, []);
  assert.deepEqual(states[1], {
    name: "again",
    meaning: "restarting",
    end: {
      closeCode: 1012,
      code: "draining",
      detail: "the gateway is draining",
      retryAfter: 6000,
    },
  });
  await patience.pass();
  await turn();
  assert.equal(connections.length, 2);
});

test("who is refused does not come again", async () => {
  const { connections, states, ended } = running();
  connections[0].error({ message: "removed" }, "your membership was ended");
  connections[0].close(4003);
  await ended;
  assert.equal(connections.length, 1);
  assert.deepEqual([states.at(-1).name, states.at(-1).end.code], ["refused", "removed"]);
});

test("it dials again only with a valid session", async () => {
  let logIn;
  const { connections, names } = running({ session: () => new Promise((done) => (logIn = done)) });
  connections[0].close(4001);
  await turn();
  assert.deepEqual([connections.length, names().at(-1)], [1, "login"]);
  logIn();
  await turn();
  assert.equal(connections.length, 2);
});

test("a gateway that cannot be asked for the session is asked again", async () => {
  let away = true;
  const session = async () => {
    if (away) throw new ApiError(0, "unreachable", "");
  };
  const { connections, patience } = running({ session });
  connections[0].close(1006, false);
  await patience.next();
  away = false;
  await patience.pass();
  await turn();
  assert.equal(connections.length, 2);
});

test("a connection that was given up for dead counts as lost, not as logged out", async () => {
  // stompjs reports such a one as 4001, which means something else here.
  const { connections, names } = running();
  connections[0].close(4001, false);
  await turn();
  assert.equal(names()[1], "again");
});

test("leaving ends the connection and all that would follow", async () => {
  const { connections, patience, ended } = running();
  patience.leave();
  await assert.rejects(ended, { name: "AbortError" });
  assert.deepEqual([connections.length, connections[0].left], [1, true]);
});

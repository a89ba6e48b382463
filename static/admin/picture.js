/** The reports of all gateways, put together for the page. Nothing here touches the page. */

/**
 * A sample of one second: time (Unix), connections, deliveries/s, posts/s, delivery latency p50 and p99 in
 * seconds (null: nothing was delivered), outbox depth, logins/s and failed ones (a gateway of an earlier version has none).
 * @typedef {[number, number, number, number, number | null, number | null, number, number?, number?]} Sample
 */
/**
 * @typedef {object} Node
 * @property {string} name
 * @property {"healthy" | "out" | "trial"} health
 * @property {boolean} draining
 * @property {boolean} partitioned what is published there does not reach the other nodes
 * @property {boolean} available
 * @property {string | null} why the reason why it takes no further connection
 * @property {number} connections
 * @property {number} limit
 * @property {number | null} latency of the last probe, seconds
 */
/**
 * @typedef {object} Event
 * @property {number} number
 * @property {number} at
 * @property {"close" | "refusal" | "failover" | "node" | "action"} kind
 * @property {string} code
 * @property {string} detail
 * @property {number} [status]
 * @property {string} [user] whom it concerns
 * @property {string} [by] who gave the order
 * @property {string} [address]
 * @property {string} [node]
 * @property {string} [connection]
 * @property {string} [budget] the limit that was met, with its scope: posts/user
 * @property {number} [times] how often it has come, if more than once; the event is the last one then
 * @property {number} [first] the number that it had the first time
 */
/**
 * @typedef {object} Gateway
 * @property {string} gateway
 * @property {number} started_at
 * @property {boolean} draining
 * @property {Sample} sample
 * @property {number} topics
 * @property {Node[]} nodes
 * @property {(string | null)[]} feeds
 * @property {string[]} problems
 * @property {Event[]} events
 * @property {Sample[]} [past]
 */
/** @typedef {{own: string, gateways: Gateway[], missing: Record<string, string>}} State */
/** A node as all gateways see it. @typedef {{name: string, views: (Node & {gateway: string})[]}} NodeViews */

/** The seconds that the charts show. */
const SHOWN = 900;
/** The most events that the page keeps. */
const EVENTS = 500;
/** The columns of a sample. */
export const AT = { connections: 1, deliveries: 2, posts: 3, p50: 4, p99: 5, outbox: 6, logins: 7, failed: 8 };

/** The key of an event: it stays the same when the event comes again. @param {Event & {gateway: string}} event */
export const keyOf = ({ gateway, number, first = number }) => `${gateway} ${first}`;

export class Picture {
  /** @type {State} */
  state = { own: "", gateways: [], missing: {} };
  /** Newest first. @type {(Event & {gateway: string})[]} */
  events = [];
  /** By gateway, by second; in the order in which they were first seen. @type {Map<string, Map<number, Sample>>} */
  #samples = new Map();
  /** @type {Set<string>} */
  #known = new Set();

  /** @param {State} state */
  take(state) {
    this.state = state;
    for (const { gateway, sample, past, events } of state.gateways) {
      if (past || !this.#samples.has(gateway)) {
        this.#samples.set(gateway, new Map((past ?? []).map((each) => [each[0], each])));
      }
      this.#samples.get(gateway)?.set(sample[0], sample);
      this.#remember(gateway, events);
    }
    this.#forget();
  }

  /** All gateways that have been seen, including those that are gone. */
  get gateways() {
    return [...this.#samples.keys()];
  }

  /** The sum over the gateways now, of a column of the samples. @param {number} column */
  total(column) {
    return this.state.gateways.reduce((sum, { sample }) => sum + (sample[column] ?? 0), 0);
  }

  /** The largest of the gateways' now; null: none has one. @param {number} column */
  worst(column) {
    const found = this.state.gateways.map(({ sample }) => sample[column]);
    return found.reduce((a, b) => (a == null ? b : b == null ? a : Math.max(a, b)), null) ?? null;
  }

  /**
   * Times, then for each gateway and column its values at these times.
   *
   * @param {...number} columns
   * @returns {[number[], ...(number | null)[][]]}
   */
  series(...columns) {
    return this.#series(this.#samples, columns);
  }

  /**
   * The same of another time, for the gateways that have been seen.
   *
   * @param {Record<string, Sample[]>} past
   * @param {...number} columns
   */
  seriesOf(past, ...columns) {
    const samples = this.gateways.map((gateway) => /** @type {const} */ ([
      gateway,
      new Map((past[gateway] ?? []).map((each) => [each[0], each])),
    ]));
    return this.#series(new Map(samples), columns);
  }

  /**
   * @param {Map<string, Map<number, Sample>>} of
   * @param {number[]} columns
   * @returns {[number[], ...(number | null)[][]]}
   */
  #series(of, columns) {
    const times = new Set([...of.values()].flatMap((samples) => [...samples.keys()]));
    const sorted = [...times].sort((a, b) => a - b);
    const lines = [...of.values()].flatMap((samples) =>
      columns.map((column) => sorted.map((at) => samples.get(at)?.[column] ?? null)),
    );
    return [sorted, ...lines];
  }

  /** @returns {NodeViews[]} */
  get nodes() {
    /** @type {Map<string, NodeViews>} */
    const found = new Map();
    for (const { gateway, nodes } of this.state.gateways) {
      for (const node of nodes) {
        const views = found.get(node.name) ?? { name: node.name, views: [] };
        views.views.push({ gateway, ...node });
        found.set(node.name, views);
      }
    }
    return [...found.values()];
  }

  /** @param {string} gateway @param {Event[]} events */
  #remember(gateway, events) {
    const fresh = events.filter(({ number }) => !this.#known.has(`${gateway} ${number}`));
    if (fresh.length === 0) return;
    const again = new Set(fresh.map((event) => keyOf({ gateway, ...event })));
    const all = [
      ...fresh.map((event) => ({ gateway, ...event })),
      ...this.events.filter((event) => !again.has(keyOf(event))),
    ];
    this.events = all.sort((a, b) => b.at - a.at || b.number - a.number).slice(0, EVENTS);
    this.#known = new Set(this.events.map(({ gateway, number }) => `${gateway} ${number}`));
  }

  #forget() {
    const newest = Math.max(...this.state.gateways.map(({ sample }) => sample[0]));
    for (const [gateway, samples] of this.#samples) {
      for (const at of samples.keys()) if (at <= newest - SHOWN) samples.delete(at);
      if (samples.size === 0) this.#samples.delete(gateway);
    }
  }
}

/** How a gateway sees a node, in one word. @param {Node} node */
export function condition({ draining, partitioned, health, available }) {
  if (draining) return "draining";
  if (health !== "healthy") return health;
  if (partitioned) return "partitioned";
  return available ? "available" : "full";
}

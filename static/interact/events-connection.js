import { ABNORMAL, isFinal, RESUME } from "./closing.js";
import { EventStream } from "./event-stream.js";
import { isRefusal, Problem } from "./problem.js";

/** @typedef {import("./stomp-connection.js").End} End */
/** @typedef {import("./stomp-connection.js").Subscription} Subscription */

/** Milliseconds without a byte after which a stream is dead: the gateway sends something every 15 seconds. */
const SILENCE = 25_000;
/** Milliseconds: when the device wakes, a stream that was silent for so long may be dead, and is made again. */
const STALE = 3_000;
/** The WebSocket's close codes, which the gateway's `end` has as well. */
const LEFT = 1000;
const TRY_AGAIN_LATER = 1013;
const NOT_AUTHENTICATED = 4001;
const REFUSED = 4003;

/**
 * One room's messages to one audience, as a stream of server-sent events.
 * @typedef {object} Stream
 * @property {string} path
 * @property {Set<Subscription>} subscriptions
 * @property {AbortController} ending
 * @property {boolean} isOpen everything arrives from now on, and what was asked for has
 * @property {number} heard when something came last
 */

/**
 * Live messages by server-sent events, where WebSocket is blocked: the same for its owner as a
 * {@link import("./stomp-connection.js").StompConnection}. A private queue is served by the private topic.
 */
export class EventsConnection {
  /** By room and audience. @type {Map<string, Stream>} */
  #streams = new Map();
  #isOpen = false;
  #isEnded = false;

  /**
   * @param {object} parts
   * @param {() => Promise<unknown>} parts.reach rejects with a {@link Problem} where the gateway is not reached
   * @param {(path: string, signal: AbortSignal) => Promise<Response>} parts.open begins a stream; rejects with a
   *   {@link Problem}
   * @param {(connection: EventsConnection) => void} parts.opened subscriptions can be made
   * @param {() => void} parts.settled every subscription made so far is open
   * @param {(end: End) => void} parts.ended
   * @param {() => number} parts.elapsed milliseconds since some moment
   */
  constructor({ reach, open, opened, settled, ended, elapsed }) {
    this.reach = reach;
    this.open = open;
    this.opened = opened;
    this.settled = settled;
    this.ended = ended;
    this.elapsed = elapsed;
  }

  async dial() {
    try {
      await this.reach();
    } catch (error) {
      this.end(endOf(error));
      return;
    }
    if (this.#isEnded) return;
    this.#isOpen = true;
    this.opened(this);
  }

  /** End it in order. */
  leave() {
    this.end({ code: LEFT, reason: "", detail: "", retryAfter: null });
  }

  /** Whether subscriptions can be made. */
  get isOpen() {
    return this.#isOpen;
  }

  /** Whether it is open, and so is every subscription made so far. */
  get isSettled() {
    return this.#isOpen && [...this.#streams.values()].every(({ isOpen }) => isOpen);
  }

  /** @param {Subscription} subscription */
  subscribe(subscription) {
    const path = pathOf(subscription.destination);
    const old = this.#streams.get(path);
    old?.ending.abort();
    // Begun again for all of them, each from where it is now.
    const subscriptions = new Set([...(old?.subscriptions ?? []), subscription]);
    /** @type {Stream} */
    const stream = { path, subscriptions, ending: new AbortController(), isOpen: false, heard: this.elapsed() };
    this.#streams.set(path, stream);
    void this.#follow(stream);
  }

  /** @param {string} id of a subscription */
  unsubscribe(id) {
    for (const [path, { subscriptions, ending }] of this.#streams) {
      for (const one of subscriptions) if (one.id === id) subscriptions.delete(one);
      if (subscriptions.size > 0) continue;
      ending.abort();
      this.#streams.delete(path);
    }
  }

  /** A stream cannot be told of a new token: it is made again with it. */
  send() {
    this.end({ code: RESUME, reason: "token_renewed", detail: "", retryAfter: null });
  }

  /** Called as time passes: a silent stream is dead. */
  pulse() {
    this.#endIfSilent(SILENCE, false);
  }

  /** The device has woken: nothing can be asked by a stream, so a silent one is made again. */
  wake() {
    this.#endIfSilent(STALE, true);
  }

  /** @param {End} end */
  end(end) {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#isOpen = false;
    for (const { ending } of this.#streams.values()) ending.abort();
    this.ended(end);
  }

  /** @param {number} longest milliseconds @param {boolean} woken */
  #endIfSilent(longest, woken) {
    const now = this.elapsed();
    const isSilent = [...this.#streams.values()].some(({ heard }) => now - heard >= longest);
    if (isSilent) this.end({ code: ABNORMAL, reason: "", detail: "", retryAfter: null, woken });
  }

  /** @param {Stream} stream */
  async #follow(stream) {
    const { path, subscriptions, ending } = stream;
    const { signal } = ending;
    try {
      const response = await this.open(path + queryOf([...subscriptions]), signal);
      await this.#read(stream, response);
      if (!signal.aborted) this.end(endOf(new Problem(0, "unreachable", "the stream has ended")));
    } catch (error) {
      if (signal.aborted) return;
      const end = endOf(error);
      this.#refuse(stream, end);
      this.end(end);
    }
  }

  /** @param {Stream} stream @param {Response} response */
  async #read(stream, { body }) {
    const { ending } = stream;
    const decoder = new TextDecoder();
    const events = new EventStream();
    const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader();
    ending.signal.addEventListener("abort", () => reader.cancel().catch(() => {}), { once: true });
    for (;;) {
      const { done, value } = await reader.read();
      if (done || ending.signal.aborted) return;
      stream.heard = this.elapsed();
      for (const event of events.read(decoder.decode(value, { stream: true }))) {
        if (ending.signal.aborted) return;
        this.#take(stream, event);
      }
    }
  }

  /** @param {Stream} stream */
  #opened(stream) {
    stream.isOpen = true;
    for (const subscription of [...stream.subscriptions]) subscription.opened();
    if (this.isSettled) this.settled();
  }

  /** @param {Stream} stream @param {{type: string, data: string, id: string | null}} event */
  #take(stream, { type, data, id }) {
    if (type === "message") {
      const frame = { body: data, headers: id === null ? {} : { seq: id }, ack: () => {} };
      for (const subscription of [...stream.subscriptions]) {
        subscription.received(/** @type {any} */ (frame));
      }
    } else if (type === "joined") this.#opened(stream);
    else if (type === "end") this.end(toldEnd(data));
  }

  /** @param {Stream} stream @param {End} end */
  #refuse({ subscriptions }, { code, reason }) {
    if (code === REFUSED) for (const subscription of subscriptions) subscription.refused(reason);
  }
}

/** @param {string} destination of a room, e.g. `/topic/acdm.mo.interact.public.42` */
function pathOf(destination) {
  const [, audience, room] = /(public|private)\.(\d+)$/.exec(destination) ?? [];
  return `/api/rooms/${room}/events?audience=${audience}`;
}

/** The rest of the query: from where on, and which room is meant. @param {Subscription[]} subscriptions */
function queryOf(subscriptions) {
  const headers = subscriptions.map((subscription) => subscription.headers());
  const places = subscriptions.flatMap((one, n) => one.handledUpTo?.() ?? headers[n]["resume-after"] ?? []);
  const identity = headers.flatMap((each) => each["room-identity"] ?? []).at(0);
  const after = places.length === 0 ? "" : `&after=${Math.min(...places.map(Number))}`;
  return after + (identity === undefined ? "" : `&identity=${identity}`);
}

/** @param {unknown} error @returns {End} */
function endOf(error) {
  if (!(error instanceof Problem)) return { code: ABNORMAL, reason: "", detail: "", retryAfter: null };
  const { status, code: reason, detail, retryAfter } = error;
  let code = ABNORMAL;
  if (status === 401) code = NOT_AUTHENTICATED;
  else if (isRefusal(error) || status === 400) code = REFUSED;
  else if (retryAfter !== null) code = TRY_AGAIN_LATER;
  return { code, reason: code === ABNORMAL ? "" : reason, detail: code === ABNORMAL ? "" : detail, retryAfter };
}

/** @param {string} data of an event `end` @returns {End} */
function toldEnd(data) {
  try {
    const { code: reason, reason: detail, retry } = JSON.parse(data);
    const why = { reason: `${reason}`, detail: `${detail}` };
    if (Number.isFinite(retry)) return { code: TRY_AGAIN_LATER, ...why, retryAfter: retry };
    // Asked again, the gateway answers with a status that says what is to be done.
    return { code: isFinal(why.reason) ? REFUSED : RESUME, ...why, retryAfter: null };
  } catch {
    // Something else than the gateway has written it.
    return { code: ABNORMAL, reason: "", detail: "", retryAfter: null };
  }
}

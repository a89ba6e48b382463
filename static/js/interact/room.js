import { Channels } from "./channels.js";
import { childOf } from "./child.js";
import { Following } from "./following.js";
import { Latch } from "./latch.js";
import { LetterStore } from "./letter-store.js";
import { Outbox } from "./outbox.js";
import { isPresence, Presence } from "./presence.js";
import { Problem } from "./problem.js";
import { Queue } from "./queue.js";
import { untilDone } from "./retry.js";
import { Subscription } from "./subscription.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */
/** @typedef {import("./http.js").Http} Http */
/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./roster.js").Change} Change */
/** @typedef {import("./tab.js").Tab} Tab */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").Importance} Importance */
/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Page} Page */
/** @typedef {import("./types.js").Present} Present */
/** @typedef {import("./types.js").Receipt} Receipt */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */

/**
 * One room, as the connection's user.
 *
 * Events: `waiting` (`detail` is {@link Room.waiting}), `gap` (messages that are no longer kept were
 * missed: `detail` is `{audience, after, from}`), `problem` (a subscription was refused: `detail` is the
 * {@link Problem}).
 */
export class Room extends EventTarget {
  #hasQueue = false;
  #http;
  #live;
  #surroundings;
  #patience;
  #channels;
  #outbox;

  /**
   * @param {number} number
   * @param {object} parts
   * @param {Http} parts.http
   * @param {Live} parts.live
   * @param {Surroundings} parts.surroundings
   * @param {Patience} parts.patience its signal is the connection's
   */
  constructor(number, { http, live, surroundings, patience }) {
    super();
    this.number = number;
    this.#http = http;
    this.#live = live;
    this.#surroundings = surroundings;
    this.#patience = patience;
    this.#channels = new Channels({
      live,
      describe: () => untilDone(() => this.info(), patience),
      run: (task) => this.#run(task, patience.signal),
    });
    this.#outbox = new Outbox({
      post: ({ id, audience, type, body }) => this.#post({ id, audience, type, body }),
      changed: () => this.#tell("waiting", this.waiting),
      comes: (audience, seq) => this.#channels.awaits(audience, seq),
      now: surroundings.now,
      patience,
    });
  }

  /** What this page has posted and not yet seen come back, in order. @returns {readonly Letter[]} */
  get waiting() {
    return this.#outbox.letters;
  }

  /** Drop a refused letter from {@link Room.waiting}. @param {string} id */
  forget(id) {
    this.#outbox.forget(id);
  }

  /** What the room is called, what my role is. @returns {Promise<RoomInfo>} */
  info() {
    return this.#http.call("GET", `/api/rooms/${this.number}`);
  }

  /**
   * Messages after a seq, oldest first. A participant gets the private ones that they sent themselves.
   *
   * @param {{after?: number, limit?: number, audience?: Audience, types?: string[]}} query `types`: only
   *   messages of these
   * @returns {Promise<Page>}
   */
  history({ after = 0, limit = 500, audience = "public", types } = {}) {
    const query = new URLSearchParams({ audience, after: `${after}`, limit: `${limit}` });
    if (types) query.set("types", types.join(","));
    return this.#http.call("GET", `/api/rooms/${this.number}/messages?${query}`);
  }

  /**
   * Hear everything that is said to the room: each guaranteed message once, in order, none missed
   * whatever the line does; instant ones as they come.
   *
   * @param {(message: Message) => void} handler
   * @param {object} [options]
   * @param {number} [options.after] begin after this seq; 0 is the beginning
   * @param {number} [options.last] or with the last so many; by default with what comes from now on
   * @param {Audience} [options.audience] hosts may also follow `private`, all of them at once
   * @returns {Subscription}
   */
  subscribe(handler, { after, last = 0, audience = "public" } = {}) {
    return this.#open(async (patience, run) => {
      const channel = await this.#channels.channel(audience);
      const { signal } = patience;
      const parts = {
        history: (/** @type {{after: number, limit: number}} */ query) =>
          this.history({ ...query, audience }),
        give: (/** @type {Message} */ message) => {
          if (signal.aborted || isPresence(message)) return;
          this.#call(() => handler(message));
          this.#outbox.arrived(message);
        },
        gap: (/** @type {object} */ gap) => this.#tell("gap", { audience, ...gap }),
        run,
        patience,
      };
      const isAsked = after !== undefined;
      const following = isAsked
        ? new Following(after, channel, parts)
        : await Following.atLast(last, channel, parts);
      signal.addEventListener("abort", () => this.#outbox.prune());
      await following.open({ isAsked, isBehind: isAsked || last > 0 });
    });
  }

  /**
   * For hosts: questions and everything else said in the room, also from before anybody listened. Each
   * message is acknowledged when the handler has run (and its promise is fulfilled); until then the
   * gateway keeps it, for a day. The queue serves one page at a time.
   *
   * @param {(message: Message) => unknown} handler is run for one message after the other
   * @returns {Subscription}
   */
  private(handler) {
    if (this.#hasQueue) throw new TypeError("room.private() is in use: close it first");
    this.#hasQueue = true;
    return this.#open(async (patience) => {
      const { signal } = patience;
      signal.addEventListener("abort", () => (this.#hasQueue = false));
      const destination = await this.#channels.destination("queue");
      const line = new Latch();
      const queue = new Queue({
        destination,
        handler,
        opened: line.open,
        report: this.#surroundings.report,
        signal,
      });
      signal.throwIfAborted();
      signal.addEventListener("abort", () => {
        this.#live.remove(queue);
        line.fail(signal.reason);
      });
      this.#live.add(queue);
      await line.opened;
    });
  }

  /**
   * Who is in the room: told at once, and with every change.
   *
   * @param {(present: Present[], change: Change | null) => void} handler
   * @returns {Subscription}
   */
  presence(handler) {
    return this.#open(async (patience, run) => {
      const presence = new Presence({
        channel: await this.#channels.channel("public"),
        list: () => this.#http.call("GET", `/api/rooms/${this.number}/presence`),
        tell: (present, change) => this.#call(() => handler(present, change)),
        run,
        patience,
      });
      await presence.open();
    });
  }

  /**
   * Say something to everyone. It is sent until it is answered, over breaks and reloads, and arrives once.
   * Instant messages (a cursor, a clap) are sent once, now or not at all.
   *
   * @param {unknown} body any JSON
   * @param {{type?: string, importance?: Importance, id?: string}} [options] `id`: a UUID of your own
   * @returns {Promise<Receipt>} rejects with a {@link Problem} if it was refused
   */
  post(body, { type = "message", importance = "guaranteed", id } = {}) {
    if (importance === "instant") {
      return this.#post({ audience: "public", type, body, importance });
    }
    return this.#outbox.send({ id, audience: "public", type, body });
  }

  /**
   * Ask the hosts; nobody else hears it.
   *
   * @param {unknown} body any JSON
   * @param {{type?: string, id?: string}} [options]
   * @returns {Promise<Receipt>} as {@link Room.post}
   */
  ask(body, { type = "question", id } = {}) {
    return this.#outbox.send({ id, audience: "private", type, body });
  }

  /**
   * What the connection's user left behind is sent.
   *
   * @package
   * @param {string} user
   * @param {Tab} tab
   */
  async restore(user, tab) {
    const { storage } = this.#surroundings;
    if (storage === null) return;
    const prefix = `interact:${this.#http.line.base}:${encodeURIComponent(user)}:${this.number}:`;
    await this.#outbox.keepIn(new LetterStore(storage, prefix, tab));
  }

  /** The line is up again: send what waits, also what other pages have left. @package */
  resume() {
    this.#outbox.resume();
    return this.#outbox.adopt();
  }

  /** Ask whether something was missed. @package */
  catchUp() {
    return this.#channels.catchUp();
  }

  /** @param {(patience: Patience, run: (task: Promise<void>) => void) => Promise<void>} start */
  #open(start) {
    const ending = childOf(this.#patience.signal);
    const { signal } = ending;
    const run = (/** @type {Promise<void>} */ task) => this.#run(task, signal);
    const ready = start({ ...this.#patience, signal }, run);
    run(ready);
    this.#live.expect(ready);
    return new Subscription(ready, ending);
  }

  /** @param {object} message @returns {Promise<Receipt>} */
  #post(message) {
    return this.#http.call("POST", `/api/rooms/${this.number}/messages`, message);
  }

  /** @param {Promise<void>} task @param {AbortSignal} signal what ends it */
  #run(task, signal) {
    task.catch((error) => {
      if (signal.aborted) return;
      if (error instanceof Problem) this.#tell("problem", error);
      else this.#surroundings.report(error);
    });
  }

  /** @param {() => void} handler of the page */
  #call(handler) {
    try {
      handler();
    } catch (error) {
      this.#surroundings.report(error);
    }
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

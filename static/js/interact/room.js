import { Channel } from "./channel.js";
import { childOf } from "./child.js";
import { Follower } from "./follower.js";
import { Latch } from "./latch.js";
import { LetterStore } from "./letter-store.js";
import { Outbox } from "./outbox.js";
import { Problem } from "./problem.js";
import { Queue } from "./queue.js";
import { untilDone } from "./retry.js";
import { Roster } from "./roster.js";
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

/** Milliseconds of silence, about, after which the gateway is asked whether something was missed. */
const SILENCE = 40_000;

/**
 * One room, as the connection's user.
 *
 * Events: `waiting` (`detail` is {@link Room.waiting}), `gap` (messages that are no longer kept were
 * missed: `detail` is `{audience, after, from}`), `problem` (a subscription was refused: `detail` is the
 * {@link Problem}).
 */
export class Room extends EventTarget {
  /** @type {Map<Audience, Channel>} */
  #channels = new Map();
  /** @type {Map<Follower, Audience>} */
  #followers = new Map();
  #queued = false;
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
    this.http = http;
    this.live = live;
    this.surroundings = surroundings;
    this.patience = patience;
    this.#outbox = new Outbox({
      post: ({ id, audience, type, body }) => this.#post({ id, audience, type, body }),
      changed: () => this.#tell("waiting", this.waiting),
      comes: (audience, seq) =>
        [...this.#followers].some(([one, its]) => its === audience && one.position < seq),
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
    return this.http.call("GET", `/api/rooms/${this.number}`);
  }

  /**
   * Messages after a seq, oldest first. A participant gets the private ones that they sent themselves.
   *
   * @param {{after?: number, limit?: number, audience?: Audience}} query
   * @returns {Promise<Page>}
   */
  history({ after = 0, limit = 500, audience = "public" } = {}) {
    const query = new URLSearchParams({ audience, after: `${after}`, limit: `${limit}` });
    return this.http.call("GET", `/api/rooms/${this.number}/messages?${query}`);
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
    return this.#open((patience) => this.#follow(handler, { after, last, audience, patience }));
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
    return this.#open((patience) => this.#consume(handler, patience));
  }

  /**
   * Who is in the room: told at once, and with every change.
   *
   * @param {(present: Present[], change: Change | null) => void} handler
   * @returns {Subscription}
   */
  presence(handler) {
    return this.#open((patience) => this.#watchPresence(handler, patience));
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

  /** What the connection's user left behind is sent. @param {string} user @param {Tab} tab */
  async restore(user, tab) {
    const { storage } = this.surroundings;
    if (storage === null) return;
    const prefix = `interact:${this.http.line.base}:${user}:${this.number}:`;
    await this.#outbox.keepIn(new LetterStore(storage, prefix, tab));
  }

  /** The line is up again: send what waits, also what other pages have left. */
  resume() {
    this.#outbox.resume();
    return this.#outbox.adopt();
  }

  /** Ask whether something was missed. */
  async catchUp() {
    await Promise.all([...this.#followers.keys()].map((follower) => follower.catchUp()));
  }

  /** @param {(patience: Patience) => Promise<void>} start */
  #open(start) {
    const ending = childOf(this.patience.signal);
    const { signal } = ending;
    const ready = start({ ...this.patience, signal });
    this.#run(ready, signal);
    return new Subscription(ready, ending);
  }

  /**
   * @param {(message: Message) => void} handler
   * @param {{after?: number, last: number, audience: Audience, patience: Patience}} options
   */
  async #follow(handler, { after, last, audience, patience }) {
    const { signal } = patience;
    const channel = await this.#channel(audience, patience);
    let started = after !== undefined;
    const follower = new Follower(after ?? (await this.#start(last, audience, patience)), {
      history: (query) => this.history({ ...query, audience }),
      give: (message) => {
        if (signal.aborted || isPresence(message)) return;
        this.#call(() => handler(message));
        this.#outbox.arrived(message);
      },
      gap: (gap) => started && this.#tell("gap", { audience, ...gap }),
      run: (task) => this.#run(task, signal),
      patience,
    });
    if (after !== undefined || last > 0) await follower.catchUp();
    started = true;
    this.#followers.set(follower, audience);
    const opened = new Latch();
    const listener = {
      get position() {
        return follower.position;
      },
      receive: (/** @type {Message} */ message) => follower.receive(message),
      opened: () => opened.open(),
    };
    const first = channel.join(listener);
    signal.addEventListener("abort", () => {
      channel.leave(listener);
      this.#followers.delete(follower);
      this.#outbox.prune();
      opened.fail(signal.reason);
    });
    if (first) await opened.opened;
    else await follower.catchUp();
    this.#run(this.#askInSilence(follower, patience), signal);
  }

  /** The seq before the last so many messages. @param {number} last @param {Audience} audience @param {Patience} patience */
  async #start(last, audience, patience) {
    const end = { after: Number.MAX_SAFE_INTEGER, limit: 1, audience };
    const { head } = await untilDone(() => this.history(end), patience);
    return Math.max(0, head - last);
  }

  /** @param {Follower} follower @param {Patience} patience */
  async #askInSilence(follower, { wait, random, signal }) {
    for (;;) {
      const { position } = follower;
      await wait(SILENCE * (0.5 + random()), signal);
      if (this.live.isOpen && follower.position === position) await follower.catchUp();
    }
  }

  /** @param {(message: Message) => unknown} handler @param {Patience} patience */
  async #consume(handler, patience) {
    if (this.#queued) throw new TypeError("room.private() is in use already: close it first");
    this.#queued = true;
    const { signal } = patience;
    signal.addEventListener("abort", () => (this.#queued = false));
    const { destinations } = await untilDone(() => this.info(), patience);
    if (!destinations.queue) {
      throw new Problem(403, "access_refused", "the private queue is for the room's hosts");
    }
    const opened = new Latch();
    const queue = new Queue({
      destination: destinations.queue,
      handler: async (message) => {
        signal.throwIfAborted();
        await handler(message);
      },
      opened: () => opened.open(),
      report: (error) => signal.aborted || this.surroundings.report(error),
    });
    this.live.add(queue);
    signal.addEventListener("abort", () => {
      this.live.remove(queue);
      opened.fail(signal.reason);
    });
    await opened.opened;
  }

  /** @param {(present: Present[], change: Change | null) => void} handler @param {Patience} patience */
  async #watchPresence(handler, patience) {
    const { signal, wait, random } = patience;
    const channel = await this.#channel("public", patience);
    const roster = new Roster();
    /** Changes that come while the list is read. @type {Message[]} */
    let meanwhile = [];
    const read = async () => {
      meanwhile = [];
      const { present } = await untilDone(
        () => this.http.call("GET", `/api/rooms/${this.number}/presence`),
        patience,
      );
      roster.replace(present);
      for (const message of meanwhile) roster.apply(message);
      signal.throwIfAborted();
      this.#call(() => handler(roster.present, null));
    };
    const listener = {
      position: null,
      receive: (/** @type {Message} */ message) => {
        if (!isPresence(message)) return;
        meanwhile.push(message);
        const change = roster.apply(message);
        if (change) this.#call(() => handler(roster.present, change));
      },
      opened: () => this.#run(read(), signal),
    };
    signal.addEventListener("abort", () => channel.leave(listener));
    channel.join(listener);
    await read();
    // Changes are instant messages: one may have been dropped.
    const readAgain = async () => {
      for (;;) {
        await wait(SILENCE * (0.5 + random()), signal);
        if (this.live.isOpen) await read();
      }
    };
    this.#run(readAgain(), signal);
  }

  /** @param {Audience} audience @param {Patience} patience */
  async #channel(audience, patience) {
    const { destinations } = await untilDone(() => this.info(), patience);
    const destination = destinations[audience];
    if (!destination) {
      throw new Problem(403, "access_refused", "what is said to the hosts is for the hosts");
    }
    const channel = this.#channels.get(audience) ?? new Channel(this.live, destination);
    this.#channels.set(audience, channel);
    return channel;
  }

  /** @param {object} message @returns {Promise<Receipt>} */
  #post(message) {
    return this.http.call("POST", `/api/rooms/${this.number}/messages`, message);
  }

  /** @param {Promise<unknown>} task @param {AbortSignal} signal what ends it */
  #run(task, signal) {
    task.catch((error) => {
      if (signal.aborted) return;
      if (error instanceof Problem) this.#tell("problem", error);
      else this.surroundings.report(error);
    });
  }

  /** @param {() => unknown} handler of the page */
  #call(handler) {
    try {
      handler();
    } catch (error) {
      this.surroundings.report(error);
    }
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** @param {Message} message */
function isPresence({ type, seq }) {
  return type === "presence" && seq === null;
}

import { emptyRoom, reduce } from "./state.js";

/** @typedef {import("../interact/connection.js").Connection} Connection */
/** @typedef {import("../interact/types.js").Message} Message */
/** @typedef {import("../interact/types.js").Present} Present */
/** @typedef {import("../interact/types.js").RoomInfo} RoomInfo */
/** @typedef {import("./state.js").Room} Room */

/** Messages to begin with: an open poll is among them, and votes for it. */
const RECENT = { public: 1_000, private: 5_000 };
/** Messages at each look further back. */
const PAGE = 200;
/**
 * What a page hears of a room: its state, and who is there.
 *
 * Events: `change` (anything that is shown), `clap`.
 */
export class Hearing extends EventTarget {
  /** @type {Present[]} */
  present = [];
  /** Whether what was said so far is here. */
  isLoaded = false;
  /** Whether there is more of the conversation before {@link room}. */
  hasEarlier = false;
  /** Why the gateway lets us hear nothing. @type {{code: string, detail: string} | null} */
  refusal = null;
  /** By which this page knows its own claps. */
  page = crypto.getRandomValues(new Uint32Array(2)).join("-");
  /** The seq of the oldest public message that is here. */
  #first = Infinity;
  /** The seq up to which a participant's own private messages were read. */
  #ownSeq = 0;

  /**
   * @param {object} parts
   * @param {Connection} parts.connection
   * @param {RoomInfo} parts.info
   * @param {<T>(task: () => Promise<T>) => Promise<T>} parts.untilDone tries a task until it succeeds or
   *   fails for good
   * @param {AbortSignal} parts.signal ends it
   */
  constructor({ connection, info, untilDone, signal }) {
    super();
    this.info = info;
    this.isHost = info.role === "host";
    this.isReadOnly = info.closed_at !== null;
    this.untilDone = untilDone;
    this.signal = signal;
    this.line = connection.room(info.id);
    /** @type {Room} */
    this.room = emptyRoom(info.hosts ?? []);
  }

  get presentParticipants() {
    return this.present.filter(({ role }) => role === "participant").length;
  }

  /**
   * Follow the room. `asDesk`: as the page at which a host works, which the private queue is served to.
   *
   * @param {{asDesk: boolean}} how
   */
  async open({ asDesk }) {
    if (this.isReadOnly) await this.#readClosed();
    else await this.#follow(asDesk);
    if (!this.isHost) await this.readOwn();
    this.isLoaded = true;
    this.changed();
  }

  /** @param {boolean} asDesk */
  async #follow(asDesk) {
    const { line, signal } = this;
    const take = (/** @type {Message} */ message) => this.#hear(message);
    const all = line.subscribe(take, { last: RECENT.public });
    const subscriptions = [all];
    if (this.isHost) {
      subscriptions.push(line.subscribe(take, { audience: "private", last: RECENT.private }));
      if (asDesk) subscriptions.push(line.private((message) => this.keep(message)));
    }
    const presence = line.presence((present) => {
      this.present = present;
      const hosts = present.filter(({ role }) => role === "host").map(({ user }) => user);
      if (hosts.some((user) => !this.room.hosts.has(user))) {
        this.room = { ...this.room, hosts: new Set([...this.room.hosts, ...hosts]) };
      }
      this.changed();
    });
    signal.addEventListener("abort", () => {
      for (const subscription of [...subscriptions, presence]) subscription.close();
    });
    try {
      // The private queue may be another page's turn.
      await Promise.all(subscriptions.slice(0, this.isHost ? 2 : 1).map(({ ready }) => ready));
      this.hasEarlier = this.#beginsLate;
    } catch (problem) {
      if (signal.aborted) return;
      this.refuse(problem);
    }
  }

  /** @param {any} problem */
  refuse(problem) {
    this.refusal = { code: problem.code ?? "", detail: `${problem.detail ?? problem}` };
    this.changed();
  }

  /** A closed room has nobody to follow, but can be read. */
  async #readClosed() {
    const { head } = await this.#history({ after: Number.MAX_SAFE_INTEGER, limit: 1 });
    await this.#readAll("public", Math.max(0, head - RECENT.public));
    this.hasEarlier = this.#beginsLate;
    if (this.isHost) await this.#readAll("private", 0);
  }

  /** The private messages of a participant are not delivered, but can be read. */
  async readOwn() {
    this.#ownSeq = await this.#readAll("private", this.#ownSeq);
  }

  /**
   * @param {"public" | "private"} audience
   * @param {number} after
   * @returns {Promise<number>} the seq of the last one
   */
  async #readAll(audience, after) {
    let last = after;
    for (let next = /** @type {number | undefined} */ (after); next !== undefined; ) {
      const page = await this.#history({ audience, after: next });
      for (const message of page.messages) this.keep(message);
      last = page.messages.at(-1)?.seq ?? last;
      next = page.next;
    }
    return last;
  }

  /** @param {Parameters<import("../interact/room.js").Room["history"]>[0]} query */
  #history(query) {
    return this.untilDone(() => this.line.history(query));
  }

  get #beginsLate() {
    return this.#first > 1 && this.#first < Infinity;
  }

  /** Look further back. */
  async readEarlier() {
    const before = this.#first;
    const after = Math.max(0, before - 1 - PAGE);
    let isKept = true;
    for (let next = /** @type {number | undefined} */ (after); next !== undefined && next < before - 1; ) {
      const page = await this.#history({ after: next, limit: before - 1 - next });
      for (const message of page.messages) this.keep(message);
      isKept &&= page.complete;
      next = page.next;
    }
    this.hasEarlier = after > 0 && isKept;
    this.#first = after + 1;
    this.changed();
  }

  /** @param {Message} message that is said to a topic now */
  #hear(message) {
    const { seq, type, body } = message;
    if (seq !== null) this.keep(message);
    else if (type === "clap" && body?.page !== this.page) this.dispatchEvent(new Event("clap"));
  }

  /** @param {Message} message from anywhere, maybe once more */
  keep(message) {
    if (message.seq === null) return;
    if (message.audience === "public") this.#first = Math.min(this.#first, message.seq);
    const room = reduce(this.room, message);
    if (room === this.room) return;
    this.room = room;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

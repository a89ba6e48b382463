import { KeptFold } from "../interact/kept-fold.js";
import { ROOM_REPLACED } from "../interact/problem.js";
import { wait } from "../interact/wait.js";
import { Approvals } from "./approvals.js";
import { LOOK } from "./order.js";
import { isHidden, withOneResult } from "./select.js";
import { emptyRoom, placeOf, reduce } from "./state.js";

/** @typedef {import("../interact/connection.js").Connection} Connection */
/** @typedef {import("../interact/types.js").Message} Message */
/** @typedef {import("../interact/types.js").Present} Present */
/** @typedef {import("../interact/types.js").RoomInfo} RoomInfo */
/** @typedef {import("./state.js").Room} Room */

/** How many messages a page begins with. What is open is in the kept state, however old it is. */
const RECENT = { public: 1_000, private: 1_000 };
const AUDIENCES = /** @type {const} */ (["public", "private"]);
/** Messages of one page further back. */
const PAGE = 200;
/** The most milliseconds until a page asks what a message to all told it to ask: all who are in the room do. */
const SPREAD = 2_000;

/**
 * A room as one page follows it: its conversation, its kept state, and who is present.
 *
 * Events: `change` (of anything that is shown), `clap`, `moved` (the user has another role now, or the room is
 * closed, so this page is the wrong one), `renamed` (the title of {@link info} is another one), `replaced` (the room of this number is another one now).
 */
export class LiveRoom extends EventTarget {
  /** @type {Present[]} */
  present = [];
  /** Whether the messages so far have been read. */
  isLoaded = false;
  /** Whether there is more of the conversation before {@link room}. */
  hasEarlier = false;
  /** Why the gateway refuses us. @type {{code: string, detail: string} | null} */
  refusal = null;
  /** A mark by which this page recognises its own claps. */
  page = crypto.getRandomValues(new Uint32Array(2)).join("-");
  /** The seq from which on the conversation has been read without a hole. */
  #first = { public: Infinity, private: Infinity };
  /** Whether a host works at this page. */
  #isDesk = false;
  /** Whether this page will {@link look} in a moment. */
  #isToLook = false;
  /** The user's role in the last list of who is present. @type {string | null} */
  #toldRole = null;

  /**
   * @param {object} parts
   * @param {Connection} parts.connection
   * @param {RoomInfo} parts.info
   * @param {string} parts.me
   * @param {<T>(task: () => Promise<T>) => Promise<T>} parts.untilDone tries a task until it succeeds or
   *   fails for good
   * @param {AbortSignal} parts.signal ends it
   */
  constructor({ connection, info, me, untilDone, signal }) {
    super();
    this.connection = connection;
    this.me = me;
    this.info = info;
    this.isHost = info.role === "host";
    this.isReadOnly = info.closed_at !== null;
    this.untilDone = untilDone;
    this.signal = signal;
    this.gatewayRoom = connection.room(info.id);
    this.gatewayRoom.addEventListener("access", () => this.#checkPlace(this.gatewayRoom.access), { signal });
    /** What is kept of the room: polls, votes, hands, questions. @type {import("./polls.js").RoomState} */
    this.state = this.gatewayRoom.state;
    const gatewayRoom = /** @type {EventTarget} */ (this.gatewayRoom);
    gatewayRoom.addEventListener("state", (event) => this.#learn(/** @type {CustomEvent} */ (event).detail), { signal });
    this.gatewayRoom.addEventListener("refused", (event) => this.#learnWhy(/** @type {CustomEvent} */ (event).detail), { signal });
    this.gatewayRoom.addEventListener("waiting", () => this.approvals.own(this.gatewayRoom.waiting), { signal });
    /** @type {Room} */
    this.room = emptyRoom(info.hosts ?? []);
    this.approvals = new Approvals({
      isHost: this.isHost,
      call: (method, query, body) => {
        const ask = () => connection.call(method, `/api/rooms/${info.id}/approvals${query}`, body);
        return method === "GET" ? this.untilDone(ask) : ask();
      },
      changed: () => this.changed(),
      run: (task) => this.run(task),
    });
  }

  /** Milliseconds since 1970 by the gateway's clock. */
  get now() {
    return this.connection.now();
  }

  /**
   * The conversation, from where it has been read without a hole. What hosts have hidden is at their desks alone: the
   * wall has a host's rights, but all look at it.
   */
  get conversation() {
    const { entries } = this.room;
    const begin = entries.findIndex((entry) => placeOf(entry) >= this.#first.public);
    const read = begin === -1 ? [] : entries.slice(begin);
    if (!this.#isDesk) return withOneResult(read.filter((entry) => !isHidden(this.state, entry)));
    return withOneResult(read.map((entry) => (isHidden(this.state, entry) ? { ...entry, isHidden: true } : entry)));
  }

  get presentParticipants() {
    return this.present.filter(({ role }) => role === "participant").length;
  }

  /**
   * Follow the room. `asDesk`: as the page at which a host works, which takes the private queue.
   *
   * @param {{asDesk: boolean}} how
   */
  async open({ asDesk }) {
    this.#isDesk = asDesk;
    try {
      if (this.isReadOnly) await this.#readClosed();
      else await this.#follow(asDesk);
    } catch (/** @type {any} */ problem) {
      if (this.signal.aborted) return;
      // An error in this code is not a refusal.
      if (typeof problem.code !== "string") throw problem;
      this.refuse(problem);
    }
    this.isLoaded = true;
    this.changed();
  }

  /** @param {boolean} asDesk */
  async #follow(asDesk) {
    const { gatewayRoom, signal } = this;
    const take = (/** @type {Message} */ message) => this.#hear(message);
    const all = gatewayRoom.subscribe(take, { last: RECENT.public });
    const subscriptions = [all, gatewayRoom.followState("public"), gatewayRoom.followState("private")];
    const awaited = [...subscriptions];
    if (this.isHost) {
      // Questions that were asked without a key.
      const asked = gatewayRoom.subscribe(take, { audience: "private", last: RECENT.private });
      subscriptions.push(asked);
      awaited.push(asked);
      if (asDesk) subscriptions.push(gatewayRoom.private((message) => this.keep(message)));
    }
    const presence = gatewayRoom.presence((present) => {
      this.present = present;
      this.#checkRole();
      const hosts = present.filter(({ role }) => role === "host").map(({ user }) => user);
      if (hosts.some((user) => !this.room.hosts.has(user))) {
        this.room = { ...this.room, hosts: new Set([...this.room.hosts, ...hosts]) };
      }
      this.changed();
    });
    signal.addEventListener("abort", () => {
      for (const subscription of [...subscriptions, presence]) subscription.close();
    });
    // Another page may have the private queue, so it is not waited for.
    await Promise.all(awaited.map(({ ready }) => ready));
    this.hasEarlier = this.#beginsLate("public");
    // The wall shows nothing of it.
    if (asDesk || !this.isHost) this.approvals.begin(this.state.public.get("settings")?.body?.approve === true);
  }

  /** @param {any} problem */
  refuse(problem) {
    this.refusal = { code: problem.code ?? "", detail: `${problem.detail ?? problem}` };
    this.changed();
  }

  /** A closed room brings nothing new, but can be read. */
  async #readClosed() {
    for (const audience of this.isHost ? AUDIENCES : AUDIENCES.slice(0, 1)) {
      const { head } = await this.#history({ audience, after: Number.MAX_SAFE_INTEGER, limit: 1 });
      await this.#readAll(audience, Math.max(0, head - RECENT[audience]));
    }
    this.hasEarlier = this.#beginsLate("public");
    const [all, hosts] = await Promise.all(AUDIENCES.map((audience) => this.readKept(this.info.id, audience)));
    this.state = { public: all, private: hosts };
  }

  /**
   * What a room keeps, as it is now.
   *
   * @param {number} room
   * @param {"public" | "private"} audience
   * @returns {Promise<import("./polls.js").KeptState>}
   */
  async readKept(room, audience) {
    const fold = new KeptFold();
    fold.begin();
    for (let rest = ""; ; ) {
      const path = `/api/rooms/${room}/state?audience=${audience}${rest}`;
      const page = await this.untilDone(() => this.connection.call("GET", path));
      fold.read(page);
      if (page.complete) return fold;
      rest = `&whole=true&after=${page.seq}`;
    }
  }

  /** Leave this page if the list says that the user has another role than it is for. */
  #checkRole() {
    const role = this.present.find(({ user }) => user === this.me)?.role ?? null;
    if (role === this.#toldRole) return;
    this.#toldRole = role;
    if (role === null || this.info.role === null || role === this.info.role) return;
    // The list may be older than the page, so the room itself is asked; its answer comes as `access`.
    this.gatewayRoom.doubt().catch((problem) => this.signal.aborted || this.refuse(problem));
  }

  /** @param {import("../interact/types.js").Access} access */
  #checkPlace({ name, role, problem }) {
    if (problem?.code === ROOM_REPLACED) {
      this.dispatchEvent(new Event("replaced"));
      return;
    }
    const hasRole = name === "in" && role !== this.info.role;
    const isClosed = name === "closed" && !this.isReadOnly;
    if (hasRole || isClosed) this.dispatchEvent(new Event("moved"));
  }

  /**
   * @param {"public" | "private"} audience
   * @param {number} after
   */
  async #readAll(audience, after) {
    for (let next = /** @type {number | undefined} */ (after); next !== undefined; ) {
      const page = await this.#history({ audience, after: next });
      for (const message of page.messages) this.#join(message);
      next = page.next;
    }
  }

  /** @param {Parameters<import("../interact/room.js").Room["history"]>[0]} query */
  #history(query) {
    return this.untilDone(() => this.gatewayRoom.history(query));
  }

  /** @param {"public" | "private"} audience */
  #beginsLate(audience) {
    return this.#first[audience] > 1 && this.#first[audience] < Infinity;
  }

  /** Look further back. */
  async readEarlier() {
    const before = this.#first.public;
    const after = Math.max(0, before - 1 - PAGE);
    let isKept = true;
    for (let next = /** @type {number | undefined} */ (after); next !== undefined && next < before - 1; ) {
      const page = await this.#history({ after: next, limit: before - 1 - next });
      for (const message of page.messages) this.#join(message);
      isKept &&= page.complete;
      next = page.next;
    }
    this.hasEarlier = after > 0 && isKept;
    this.#first.public = after + 1;
    this.changed();
  }

  /** @param {Message} message that arrives live */
  #hear(message) {
    const { seq, type, body } = message;
    if (seq !== null) this.#join(message);
    else if (type === "deleted" && message.sender === "") this.run(this.#dropDeleted(message.audience));
    if (message.audience === "public") this.approvals.hear(message);
    if (seq === null && type === "room-renamed" && message.role === "host" && typeof body?.title === "string") {
      this.info = { ...this.info, title: body.title };
      this.dispatchEvent(new Event("renamed"));
    }
    // Nothing private is sent to participants.
    const hand = this.state.private.get("hand", this.me)?.id;
    if (type === "hand-taken" && hand !== undefined && body?.hand === hand) this.run(this.look());
    else if (seq === null && type === LOOK && message.role === "host") this.run(this.#lookSoon());
    else if (seq === null && type === "clap" && body?.page !== this.page) this.dispatchEvent(new Event("clap"));
  }

  /** Messages of the stream were deleted by request: take those that are here from view. @param {"public" | "private"} audience */
  async #dropDeleted(audience) {
    await wait(SPREAD * Math.random(), this.signal);
    const first = this.#first[audience];
    for (let next = first < Infinity ? first - 1 : undefined; next !== undefined; ) {
      const page = await this.#history({ audience, after: next, types: ["deleted"] });
      for (const message of page.messages) this.keep(message);
      next = page.next;
    }
    if (this.approvals.waiting.length > 0) this.approvals.look();
    await Promise.all(AUDIENCES.map((each) => this.gatewayRoom.state[each].refresh()));
  }

  /** @param {Message} message right before or after those that are here, maybe a repetition */
  #join(message) {
    const { audience, seq } = message;
    this.#first[audience] = Math.min(this.#first[audience], seq ?? Infinity);
    this.keep(message);
  }

  /** @param {Message} message from anywhere, maybe a repetition */
  keep(message) {
    if (message.seq === null) return;
    const room = reduce(this.room, message);
    if (room === this.room) return;
    this.room = room;
    this.changed();
  }

  /**
   * What is kept has changed. What hosts show again, this page may have read while it was hidden, and so without its
   * content.
   *
   * @param {{audience: string, changes: readonly import("../interact/types.js").KeptChange[]}} news
   */
  #learn({ audience, changes }) {
    this.changed();
    if (audience !== "public" || this.isHost) return;
    for (const { key, author, message, before } of changes) {
      const seq = key.startsWith("hidden:") ? before?.body?.seq : undefined;
      if (message !== null || author !== null || !Number.isSafeInteger(seq) || seq < this.#first.public) continue;
      if (this.room.entries.some((entry) => entry.seq === seq)) continue;
      const read = this.#history({ after: seq - 1, limit: 1 });
      this.run(read.then(({ messages }) => messages.forEach((one) => this.keep(one))));
    }
  }

  /** Ask what private entries have changed. */
  look() {
    return this.untilDone(() => this.gatewayRoom.state.private.refresh());
  }

  /** The message that told to look may have been lost. @param {import("../interact/types.js").PendingPost} post that was refused */
  #learnWhy({ problem }) {
    if (problem?.code === "muted" && !this.isReadOnly) this.run(this.look());
  }

  async #lookSoon() {
    if (this.isHost || this.#isToLook) return;
    this.#isToLook = true;
    await wait(SPREAD * Math.random(), this.signal);
    this.#isToLook = false;
    await this.look();
  }

  /** A task that nobody awaits. @param {Promise<unknown>} task */
  run(task) {
    task.catch((problem) => this.signal.aborted || this.refuse(problem));
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

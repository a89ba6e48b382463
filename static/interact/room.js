import { Access } from "./access.js";
import { Channels } from "./channels.js";
import { childOf } from "./child.js";
import { Following } from "./following.js";
import { toJson } from "./json.js";
import { isStatePage } from "./kept-fold.js";
import { KeptState } from "./kept-state.js";
import { Latch } from "./latch.js";
import { messageText, refuseWrongHead } from "./post-text.js";
import { PostStore } from "./post-store.js";
import { Outbox } from "./outbox.js";
import { isMessage } from "./message.js";
import { isPresence, Presence } from "./presence.js";
import { isRefusal, Problem } from "./problem.js";
import { Queue } from "./queue.js";
import { expected } from "./request.js";
import { Subscription } from "./subscription.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */
/** @typedef {import("./http.js").Http} Http */
/** @typedef {import("./post-text.js").NewPost} NewPost */
/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./roster.js").Change} Change */
/** @typedef {import("./tab.js").Tab} Tab */
/** @typedef {import("./types.js").Access} AccessState */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").Importance} Importance */
/** @typedef {import("./types.js").KeptChange} KeptChange */
/** @typedef {import("./types.js").PendingPost} PendingPost */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Page} Page */
/** @typedef {import("./types.js").Present} Present */
/** @typedef {import("./types.js").Receipt} Receipt */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */
/** @typedef {import("./types.js").StatePage} StatePage */

/**
 * One room, as the connection's user.
 *
 * Events: `waiting` (`detail` is {@link Room.waiting}), `refused` (a post will not be sent: `detail`
 * is the {@link PendingPost}), `dropped` (a refused post is listed no longer, because there are too many:
 * `detail` is the {@link PendingPost}), `access` (`detail` is {@link Room.access}), `gap` (messages that are no longer
 * kept were missed: `detail` is `{audience, after, from}`), `problem` (a subscription was refused: `detail`
 * is the {@link Problem}), `unreadable` (the browser's storage held something that is no post, which was
 * set aside: `detail` is `{key, text}`), `state` (of {@link Room.state}: `detail` is `{audience, changes}`).
 */
export class Room extends EventTarget {
  /** Is called with the changes of {@link Room.state}. @type {((audience: Audience, changes: KeptChange[]) => void) | null} */
  onstate = null;
  #hasQueue = false;
  /** Why nothing is sent any more. @type {Problem | null} */
  #halted = null;
  /** Handlers of {@link watchAccess}. */
  #watchers = 0;
  #http;
  #live;
  #surroundings;
  #patience;
  #identified;
  /** @type {Access} */
  #access;
  /** @type {Channels} */
  #channels;
  #outbox;
  /** The connection's user, once the gateway has said who that is. */
  #user = "";
  /** The user's last role in the room. @type {string | null | undefined} */
  #role;
  /** Tells the browser's other pages that something of this user's is kept now. @type {(data: unknown) => void} */
  #announce;

  /**
   * @param {number} number
   * @param {object} parts
   * @param {Http} parts.http
   * @param {Live} parts.live
   * @param {Surroundings} parts.surroundings
   * @param {Patience} parts.patience its signal is the connection's
   * @param {Promise<unknown>} parts.identified resolves when the gateway has said who the user is
   */
  constructor(number, { http, live, surroundings, patience, identified }) {
    super();
    this.number = number;
    this.#http = http;
    this.#live = live;
    this.#surroundings = surroundings;
    this.#patience = patience;
    this.#identified = identified;
    const run = (/** @type {Promise<any>} */ task) => this.#run(task, patience.signal);
    this.#access = new Access({
      info: () => this.#describe(),
      allow: (destinations) => this.#channels.allow(destinations),
      changed: (state) => this.#admitted(state),
      isMissed: () =>
        this.#channels.isMissed || (this.#watchers > 0 && this.#access.state.name !== "in"),
      run,
      patience,
    });
    this.#channels = new Channels({ live, access: this.#access, run });
    this.#outbox = new Outbox({
      post: (text, identity) => this.#post(text, identity),
      room: () => this.#access.identity,
      changed: () => this.#tell("waiting", this.waiting),
      refused: (post) => this.#tell("refused", post),
      dropped: (post) => this.#tell("dropped", post),
      stored: (post, receipt) => this.#stored(post, receipt),
      comes: (audience, seq) => this.#channels.awaits(audience, seq),
      now: surroundings.now,
      patience,
    });
    /**
     * What the room keeps of either audience, while the page follows it: {@link Room.followState}.
     *
     * @type {Readonly<Record<Audience, KeptState>>}
     */
    this.state = Object.freeze({ public: this.#keptState("public"), private: this.#keptState("private") });
    // Whoever it is from: the gateway is asked what it has of ours.
    const heard = (/** @type {any} */ data) => data?.kept === number && this.state.private.catchUp();
    this.#announce = surroundings.broadcast(`interact:${http.endpoint.base}:kept`, heard, patience.signal);
  }

  /** Posts of this page whose messages have not arrived yet, in order. @returns {readonly PendingPost[]} */
  get waiting() {
    return this.#outbox.posts;
  }

  /** Drop a refused post from {@link Room.waiting}. @param {string} id */
  forget(id) {
    this.#outbox.forget(id);
  }

  /**
   * Whether the room admits the user, as far as that is known: see {@link Room.watchAccess}.
   *
   * @returns {AccessState}
   */
  get access() {
    return this.#access.state;
  }

  /** The room's title, the user's role, and more. @returns {Promise<RoomInfo>} */
  info() {
    return this.#access.learn(this.#describe());
  }

  /** @returns {Promise<RoomInfo>} */
  async #describe() {
    const room = await this.#http.call("GET", `/api/rooms/${this.number}`);
    return expected(room, typeof room?.destinations === "object" && room.destinations !== null);
  }

  /**
   * Messages after a seq, oldest first. A participant gets the private ones that they sent themselves.
   *
   * @param {{after?: number, limit?: number, audience?: Audience, types?: string[]}} query `types`: only
   *   messages of these
   * @returns {Promise<Page>}
   */
  async history({ after = 0, limit = 500, audience = "public", types } = {}) {
    const query = new URLSearchParams({ audience, after: `${after}`, limit: `${limit}` });
    if (types) query.set("types", types.join(","));
    if (this.#access.identity !== null) query.set("identity", this.#access.identity);
    const path = `/api/rooms/${this.number}/messages?${query}`;
    const page = await this.#asMember(() => this.#http.call("GET", path));
    return expected(page, isPage(page, after));
  }

  /**
   * Subscribe to the room's messages: each guaranteed message once, in order, none missed
   * whatever happens to the connection; instant ones as they come.
   *
   * @param {(message: Message) => void} handler
   * @param {object} [options]
   * @param {number} [options.after] begin after this seq; 0 is the beginning
   * @param {number} [options.last] or with this many last messages; by default with new ones
   * @param {Audience} [options.audience] hosts may also subscribe to `private`, any number of hosts at once
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
          // Before the handler, which may change it.
          const { id, seq, sent_at } = message;
          this.#call(() => handler(message));
          this.#outbox.arrived({ id, seq, sent_at });
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
   * For hosts: all messages of the room, questions included, also those from before anybody listened. Each
   * message is acknowledged when the handler has run (and its promise is fulfilled); until then the
   * gateway keeps it, for a day. The queue serves one page at a time.
   *
   * @param {(message: Message) => unknown} handler runs for one message after the other
   * @returns {Subscription}
   */
  private(handler) {
    if (this.#hasQueue) throw new TypeError("room.private() is in use: close it first");
    this.#hasQueue = true;
    return this.#open(async (patience) => {
      const { signal } = patience;
      signal.addEventListener("abort", () => (this.#hasQueue = false));
      const destination = await this.#channels.destination("queue");
      const subscribed = new Latch();
      const queue = new Queue({
        destination,
        identity: () => this.#access.identity,
        handler,
        opened: subscribed.open,
        report: this.#surroundings.report,
        signal,
      });
      signal.throwIfAborted();
      const place = this.#channels.placeOf(queue);
      signal.addEventListener("abort", () => {
        place.leave();
        subscribed.fail(signal.reason);
      });
      place.take();
      await subscribed.opened;
    });
  }

  /**
   * Who is in the room, at once and with every change.
   *
   * @param {(present: Present[], change: Change | null) => void} handler
   * @returns {Subscription}
   */
  presence(handler) {
    return this.#open(async (patience, run) => {
      const presence = new Presence({
        channel: await this.#channels.channel("public"),
        list: () => this.#list(),
        tell: (present, change) => this.#call(() => handler(present, change)),
        run,
        patience,
      });
      await presence.open();
    });
  }

  /**
   * Whether the room admits the user, at once and with every change. While it does not, it is asked
   * again, at growing intervals and whenever the device wakes; then subscriptions continue where they were.
   *
   * @param {(access: AccessState) => void} handler
   * @returns {Subscription}
   */
  watchAccess(handler) {
    return this.#open(async (patience) => {
      const { signal } = patience;
      const tell = () => this.#call(() => handler(this.access));
      signal.throwIfAborted();
      this.#watchers += 1;
      this.addEventListener("access", tell, { signal });
      signal.addEventListener("abort", () => (this.#watchers -= 1), { once: true });
      if (this.access.name === "unknown") await this.#access.doubt();
      else tell();
      this.#access.watch();
    });
  }

  /**
   * Post a message to everyone. It is encoded now, sent until it is answered, also after breaks and reloads,
   * and arrives once. Instant messages (a cursor, a clap) are sent once, now or not at all.
   *
   * @param {unknown} body any JSON
   * @param {{type?: string, importance?: Importance, id?: string}} [options] `id`: a UUID of your own
   * @returns {Promise<Receipt>} rejects with a {@link Problem} if it was refused, and never throws; it need
   *   not be handled, because the event `refused` reports the same
   */
  post(body, options) {
    return this.#say("public", body, "message", options);
  }

  /**
   * Ask the hosts; nobody else hears it.
   *
   * @param {unknown} body any JSON
   * @param {{type?: string, id?: string}} [options]
   * @returns {Promise<Receipt>} as {@link Room.post}
   */
  ask(body, options) {
    return this.#say("private", body, "question", options);
  }

  /**
   * Post an entry of the room's kept state: the newest of a key counts, one for the room from hosts, one each
   * from participants. Of unsent ones of the same key only the newest is sent.
   *
   * @param {string} key
   * @param {unknown} body any JSON; null clears the entry
   * @param {{audience?: Audience, type?: string, while?: string, of?: string, id?: string}} [options] `while`: it
   *   is stored only while the room's own entry under that key stands; `of`: the user whose entry a host writes
   * @returns {Promise<Receipt>} as {@link Room.post}; rejects with code `replaced` if a newer one is sent instead
   */
  keep(key, body, options) {
    const { audience = "public", ...others } = options ?? {};
    return this.#say(audience, body, "kept", { ...others, keep: key });
  }

  /**
   * Keep {@link Room.state} of an audience up to date: the polls, votes, hands … that stand, however long ago they
   * were posted. Hosts get all private entries, a participant their own.
   *
   * @param {Audience} [audience]
   * @returns {Subscription} `ready` resolves when the state is known, and every change will be
   */
  followState(audience = "public") {
    return this.#open(({ signal }) => this.state[audience].follow(signal));
  }

  /**
   * Send what the connection's user left behind.
   *
   * @package
   * @param {string} user
   * @param {Tab} tab
   */
  async restore(user, tab) {
    this.#user = user;
    const { storage } = this.#surroundings;
    if (storage === null) return;
    const prefix = `interact:${this.#http.endpoint.base}:${encodeURIComponent(user)}:${this.number}:`;
    const unreadable = (/** @type {object} */ entry) => this.#tell("unreadable", entry);
    await this.#outbox.keepIn(new PostStore(storage, prefix, tab, unreadable));
  }

  /** The connection is up again: send waiting posts, also those that other pages have left. @package */
  resume() {
    this.#outbox.resume();
    this.state.private.catchUp();
    return this.#outbox.adopt();
  }

  /** The gateway has sent this page away: post nothing more. @package @param {Problem} problem */
  halt(problem) {
    this.#halted = problem;
    this.#outbox.halt(problem);
  }

  /** Ask whether something was missed. @package */
  catchUp() {
    this.state.private.catchUp();
    return this.#channels.catchUp();
  }

  /** The gateway has refused a subscription: find out whether it was this room's. @package */
  async doubt() {
    if (this.access.name !== "unknown") await this.#access.doubt();
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

  /**
   * @param {Audience} audience
   * @param {unknown} body
   * @param {string} usual type
   * @param {Partial<NewPost> | null} [options]
   * @returns {Promise<Receipt>}
   */
  #say(audience, body, usual, options) {
    /** @type {NewPost} */
    let what;
    let importance;
    try {
      const { type = usual, id, keep, of, while: condition, ...others } = options ?? {};
      what = { audience, type, id, body };
      if (keep !== undefined) what.keep = keep;
      if (of !== undefined) what.of = of;
      if (condition !== undefined) what.while = condition;
      importance = others.importance ?? "guaranteed";
    } catch (error) {
      what = { audience, type: usual, body };
      importance = `${error}`;
    }
    if (importance !== "instant") return this.#outbox.send({ ...what, importance });
    const sent = this.#sayOnce(what);
    // The rejection need not be handled: an instant message may be lost.
    sent.catch(() => {});
    return sent;
  }

  /** @param {NewPost} what */
  async #sayOnce({ body, ...head }) {
    if (this.#halted !== null) throw this.#halted;
    refuseWrongHead(head);
    const text = messageText({ ...head, importance: "instant" }, toJson(body));
    const path = this.#messages(this.#access.identity);
    return this.#asMember(() => this.#http.send("POST", path, text, { repeats: false }));
  }

  /**
   * @param {string} text the JSON of a message with an id
   * @param {string | null} identity the room's when it was written; null if it was not known
   * @returns {Promise<Receipt>}
   */
  async #post(text, identity) {
    const path = this.#messages(identity ?? this.#access.identity);
    const sent = () => this.#http.send("POST", path, text, { repeats: true });
    const receipt = await this.#asMember(sent);
    return expected(receipt, typeof receipt?.id === "string");
  }

  /** @param {Audience} audience */
  #keptState(audience) {
    return new KeptState({
      channel: async () => {
        // A participant's role opens no topic of the private messages: they are asked for.
        if (audience === "private") await this.#channels.destination("public");
        // What hosts have hidden, an admin gets, too.
        else await this.#identified;
        const isHeard = audience === "public" || this.#access.room?.destinations.private !== undefined;
        return isHeard ? this.#channels.channel(audience) : null;
      },
      ask: (query) => this.#askState(audience, query),
      isVeiled: () => {
        const isAdmin = this.#http.credentials.roles.includes("admin");
        return audience === "public" && this.access.role === "participant" && !isAdmin;
      },
      changed: (changes) => {
        const { onstate } = this;
        if (onstate !== null) this.#call(() => onstate.call(this, audience, changes));
        this.#tell("state", { audience, changes });
      },
      run: (task, signal) => this.#run(task, signal),
      patience: this.#patience,
    });
  }

  /** @param {Audience} audience @param {{after?: number, whole?: boolean, limit?: number}} query @returns {Promise<StatePage>} */
  async #askState(audience, { after, whole, limit }) {
    const query = new URLSearchParams({ audience });
    if (after !== undefined) query.set("after", `${after}`);
    if (whole) query.set("whole", "true");
    if (limit !== undefined) query.set("limit", `${limit}`);
    if (this.#access.identity !== null) query.set("identity", this.#access.identity);
    const path = `/api/rooms/${this.number}/state?${query}`;
    const page = await this.#asMember(() => this.#http.call("GET", path));
    return expected(page, isStatePage(page, after));
  }

  /** @param {AccessState} state */
  #admitted(state) {
    this.#tell("access", state);
    if (state.name !== "in") return;
    if (this.#role !== undefined && this.#role !== state.role) {
      this.state.public.restart();
      this.state.private.restart();
    } else this.state.private.catchUp();
    this.#role = state.role;
  }

  /** @param {PendingPost} post @param {Receipt} receipt */
  #stored({ id, audience, type, body, keep, of }, { seq, sent_at }) {
    if (keep === undefined) return;
    const { role } = this.access;
    const message = { id, room: this.number, audience, seq, sender: this.#user, role, sent_at, type, body, keep };
    this.state[audience].stored({ ...message, ...(of === undefined ? {} : { of }) });
    if (audience === "private") this.#announce({ kept: this.number });
  }

  async #list() {
    const path = `/api/rooms/${this.number}/presence`;
    const list = await this.#asMember(() => this.#http.call("GET", path));
    return expected(list, Array.isArray(list?.present));
  }

  /** @param {string | null} identity */
  #messages(identity) {
    return `/api/rooms/${this.number}/messages${identity === null ? "" : `?identity=${identity}`}`;
  }

  /**
   * A call for members only: a refusal may mean that the user is no member any more.
   *
   * @template T
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  async #asMember(call) {
    try {
      return await call();
    } catch (error) {
      if (isRefusal(error) && this.access.name === "in") {
        this.#run(this.#access.doubt(), this.#patience.signal);
      }
      throw error;
    }
  }

  /** @param {Promise<void>} task @param {AbortSignal} signal what ends it */
  #run(task, signal) {
    task.catch((error) => {
      if (signal.aborted) return;
      if (error instanceof Problem) this.#tell("problem", error);
      else this.#surroundings.report(error);
    });
  }

  /** @param {() => unknown} handler of the page, maybe an asynchronous one */
  #call(handler) {
    const { report } = this.#surroundings;
    try {
      const handling = /** @type {any} */ (handler());
      if (typeof handling?.then === "function") handling.then(undefined, report);
    } catch (error) {
      report(error);
    }
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/**
 * Whether this is an answer of the sync that brings us further.
 *
 * @param {any} page
 * @param {number} after
 */
function isPage(page, after) {
  if (!Array.isArray(page?.messages) || !page.messages.every(isMessage)) return false;
  if (!Number.isSafeInteger(page.head)) return false;
  return page.next === undefined || (Number.isSafeInteger(page.next) && page.next > after);
}

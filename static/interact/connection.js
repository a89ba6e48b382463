import { GatewayClock } from "./clock.js";
import { isSentAway } from "./closing.js";
import { CookieCredentials, sessionOf, TokenCredentials } from "./credentials.js";
import { EventsConnection } from "./events-connection.js";
import { GATEWAY } from "./gateway-address.js";
import { Http } from "./http.js";
import { Live } from "./live.js";
import { napping } from "./nap.js";
import { needsSession, Problem, USER_CHANGED, UserChanged } from "./problem.js";
import { renewInTime } from "./renewal.js";
import { expected } from "./request.js";
import { untilDone } from "./retry.js";
import { Room } from "./room.js";
import { Tab } from "./tab.js";
import { Wake } from "./wake.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */
/** @typedef {import("./credentials.js").TokenSource} TokenSource */
/** @typedef {import("./types.js").Session} Session */
/** @typedef {import("./types.js").State} State */

/**
 * @typedef {object} Options
 * @property {string} [url] the gateway's address; by default the one that this library and the page come from, or the page's
 *   origin
 * @property {TokenSource} [token] a JWT, or a function that gets a fresh one whenever one is needed
 * @property {boolean | (() => Promise<unknown>)} [cookie] use the session cookie; a function is called
 *   when there is no session, and resolves when there is one (a login form). With `token` too, the token
 *   is traded for the cookie
 */

/** The least milliseconds between two requests to the history, however often the device wakes. */
const CATCH_UP_PAUSE = 10_000;

/** @type {State} */
const START = {
  ...{ name: "connecting", code: null, reason: "", detail: "", retryAt: null },
  ...{ user: null, other: null, via: "websocket" },
};

/**
 * A page's connection to the gateway, made again whenever it is lost.
 *
 * Event: `state` (`detail` is {@link Connection.state}).
 */
export class Connection extends EventTarget {
  /** @type {State} */
  #state = Object.freeze(START);
  /** @type {Map<number, Room>} */
  #rooms = new Map();
  #closing = new AbortController();
  /** The user's name, once it is known. @type {Promise<string>} */
  #user;
  /** When the history was last asked whether something was missed. */
  #caughtUp = -Infinity;
  /** Why an admin has ended this connection for good. @type {Problem | null} */
  #sentAway = null;
  /** Tells the browser's other pages who has logged in here; null: the user has logged out. */
  #announce;
  #options;
  #endpoint;
  #credentials;
  #tab;
  #http;
  #live;
  #surroundings;
  #patience;

  /** @param {Options} options @param {Surroundings} surroundings */
  constructor(options, surroundings) {
    super();
    const { url = GATEWAY, token, cookie } = options;
    if (!token && !cookie) throw new TypeError("connect() needs a token, or cookie: true");
    const base = new URL(url, globalThis.location?.href).href.replace(/\/$/, "");
    const { signal } = this.#closing;
    const { wait, random, now, elapsed } = surroundings;
    const wake = new Wake(surroundings, signal);
    const patience = { wait, nap: napping({ wait, onWake: wake.on }), random, signal };
    const clock = new GatewayClock({ elapsed, now });
    const endpoint = { fetch: surroundings.fetch, base, cookies: Boolean(cookie), clock };
    this.#options = { ...options };
    this.#surroundings = surroundings;
    this.#patience = patience;
    this.#endpoint = endpoint;
    const told = (/** @type {string} */ user) => this.#announce({ user });
    this.#credentials = cookie
      ? new CookieCredentials(endpoint, cookie, token ?? null, told)
      : new TokenCredentials(endpoint, token ?? "");
    const credentials = this.#credentials;
    // Only pages that share a cookie need to know.
    this.#announce = cookie
      ? surroundings.broadcast(`interact:${base}`, (data) => this.#heardOf(data), signal)
      : () => {};
    this.#http = new Http(endpoint, credentials, (problem) => this.#userChanged(problem));
    const reach = () => this.#http.call("GET", "/api/session");
    this.#live = new Live({
      client: surroundings.client,
      url: `${base.replace(/^http/, "ws")}/ws`,
      credentials,
      changed: (state) => this.#changed(state),
      notKept: () => Promise.all([...this.#rooms.values()].map((room) => room.catchUp())),
      excluded: () => Promise.all([...this.#rooms.values()].map((room) => room.doubt())),
      events: (how) => new EventsConnection({ reach, open: (...what) => this.#http.stream(...what), elapsed, ...how }),
      reach,
      // Other requests under way use the same dead network.
      dead: () => this.#http.revive(),
      ...{ now, elapsed, patience },
    });
    this.#tab = new Tab(surroundings.locks);
    this.#user = this.#identify();
    this.#run(this.#user);
    this.#run(this.#live.run());
    const renewed = (/** @type {string} */ fresh) => this.#live.renew(fresh);
    // By then an answer has brought the gateway's time.
    this.#run(this.#user.then(() => renewInTime({ credentials, renewed, elapsed, patience })));
    wake.on(() => this.#woken(), signal);
    surroundings.onPulse(() => this.#live.pulse(), signal);
  }

  get state() {
    return this.#state;
  }

  /** The same object for the same number. @param {number} number @returns {Room} */
  room(number) {
    const found = this.#rooms.get(number);
    if (found) return found;
    const room = new Room(number, {
      http: this.#http,
      live: this.#live,
      surroundings: this.#surroundings,
      patience: this.#patience,
      identified: this.#user,
    });
    this.#rooms.set(number, room);
    if (this.#sentAway !== null) room.halt(this.#sentAway);
    this.#run(this.#user.then((user) => room.restore(user, this.#tab)));
    return room;
  }

  /** The gateway's time, as soon as it has told; before, this device's. @returns {number} milliseconds since 1970 */
  now() {
    return this.#endpoint.clock.time ?? this.#surroundings.now();
  }

  /** The user, and when the session ends. @returns {Promise<Session>} */
  async session() {
    await this.#http.ready();
    const session = this.#credentials.news() ?? (await this.#http.call("GET", "/api/session"));
    expected(session, typeof session?.user === "string");
    try {
      this.#credentials.identify(session);
    } catch (problem) {
      if (problem instanceof Problem) this.#userChanged(problem);
      throw problem;
    }
    return session;
  }

  /**
   * Any other call of the gateway's HTTP API, as the same user.
   *
   * @param {string} method
   * @param {string} path begins with `/api/`
   * @param {unknown} [body] JSON, copied now
   * @returns {Promise<any>} the JSON of the answer; rejects with a {@link Problem}
   */
  async call(method, path, body) {
    if (this.#state.name === "user_changed") this.#closing.signal.throwIfAborted();
    const answer = await this.#http.call(method, path, body);
    if (method === "DELETE" && path === "/api/session") this.#announce({ user: null });
    return answer;
  }

  /** End everything. Unsent posts are sent by the next page of this user. */
  close() {
    if (this.#closing.signal.aborted) return;
    this.#changed({ ...START, name: "closed" });
    this.#closing.abort(new Problem(0, "closed", "the connection was closed by the page"));
  }

  /**
   * Start again as the user who is logged in now: after `user_changed`, if the page is not loaded again. This
   * connection and its rooms have ended; its user's unsent posts are sent when that user logs in again.
   *
   * @returns {Connection}
   */
  continueAs() {
    this.close();
    return new Connection(this.#options, this.#surroundings);
  }

  async #identify() {
    const credentials = this.#credentials;
    await this.#tab.live(this.#closing.signal);
    await untilDone(() => this.#findUser(), this.#patience);
    return credentials.user ?? "";
  }

  async #findUser() {
    const credentials = this.#credentials;
    try {
      // With a cookie, this request has found it out.
      await credentials.token();
    } catch (error) {
      if (!needsSession(error)) throw error;
    }
    if (credentials.user === null) await this.session();
  }

  /** @param {Omit<State, "user" | "other" | "via">} state */
  #changed(state) {
    if (this.#closing.signal.aborted) return;
    if (state.name === "refused" && state.reason === USER_CHANGED) {
      this.#userChanged(new UserChanged());
      return;
    }
    if (state.name === "refused" && isSentAway(state.reason)) {
      this.#sentAway = new Problem(403, state.reason, state.detail);
      for (const room of this.#rooms.values()) room.halt(this.#sentAway);
    }
    this.#become({ ...START, ...state, via: this.#live.via });
    if (state.name === "connected") {
      for (const room of this.#rooms.values()) this.#run(room.resume());
    }
  }

  /** @param {State} state */
  #become(state) {
    this.#state = Object.freeze(state);
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  /** Stop, so that nothing is sent as somebody else. @param {Problem} problem */
  #userChanged(problem) {
    if (this.#closing.signal.aborted) return;
    const { user } = this.#credentials;
    const other = problem instanceof UserChanged ? problem.other : null;
    const why = { code: 4001, reason: USER_CHANGED, detail: problem.detail };
    // First: a page that closes the connection when it hears of it shall learn the name all the same.
    this.#closing.abort(problem);
    this.#become({ ...START, name: USER_CHANGED, ...why, user, other });
    if (other === null) this.#run(this.#findOther());
  }

  /** Who is logged in now; only shown to people, so one request is enough. */
  async #findOther() {
    const { user } = await sessionOf(this.#endpoint, "GET");
    if (user !== this.#state.user) this.#become({ ...this.#state, other: user });
  }

  /** Another page of this browser reports a login or a logout. @param {any} data */
  #heardOf(data) {
    if (data?.user === this.#credentials.user || this.#credentials.user === null) return;
    this.#run(this.#checkSession());
  }

  async #checkSession() {
    const credentials = this.#credentials;
    try {
      await untilDone(() => credentials.check(), this.#patience);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      if (error.code === USER_CHANGED) this.#userChanged(error);
      else this.#live.endSession({ reason: "logged_out", detail: error.detail });
    }
  }

  #woken() {
    this.#live.wake();
    // With a connection, its answer shows whether the network is dead.
    if (!this.#live.isOpen) this.#http.hurry();
    const now = this.#surroundings.elapsed();
    if (!this.#live.isOpen || now - this.#caughtUp < CATCH_UP_PAUSE) return;
    this.#caughtUp = now;
    for (const room of this.#rooms.values()) this.#run(room.catchUp());
  }

  /** Run a task; a final failure shows in the state, or in the room's. @param {Promise<unknown>} task */
  #run(task) {
    task.catch((error) => {
      if (error instanceof Problem && error.code === USER_CHANGED) this.#userChanged(error);
      if (!(error instanceof Problem)) this.#surroundings.report(error);
    });
  }
}

import { CookieCredentials, TokenCredentials } from "./credentials.js";
import { Http } from "./http.js";
import { Live } from "./live.js";
import { napping } from "./nap.js";
import { Problem } from "./problem.js";
import { renewInTime } from "./renewal.js";
import { untilDone } from "./retry.js";
import { Room } from "./room.js";
import { Tab } from "./tab.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */
/** @typedef {import("./credentials.js").TokenSource} TokenSource */
/** @typedef {import("./types.js").Session} Session */
/** @typedef {import("./types.js").State} State */

/**
 * @typedef {object} Options
 * @property {string} [url] the gateway's address; by default the page's own
 * @property {TokenSource} [token] a JWT, or a function that gets a fresh one whenever one is needed
 * @property {boolean | (() => Promise<unknown>)} [cookie] use the session cookie; a function is called
 *   when there is no session, and resolves when there is one (a login form). With `token` too, the token
 *   is traded for the cookie
 */

/**
 * A page's connection to the gateway, made again whenever it is lost.
 *
 * Event: `state` (`detail` is {@link Connection.state}).
 */
export class Connection extends EventTarget {
  /** @type {State} */
  #state = { name: "connecting", code: null, reason: "", detail: "", retryAt: null };
  /** @type {Map<number, Room>} */
  #rooms = new Map();
  #closing = new AbortController();
  /** Who the user is, once that is known. @type {Promise<string>} */
  #user;
  #tab;
  #http;
  #live;
  #surroundings;
  #patience;

  /** @param {Options} options @param {Surroundings} surroundings */
  constructor({ url = location.origin, token, cookie }, surroundings) {
    super();
    if (!token && !cookie) throw new TypeError("connect() needs a token, or cookie: true");
    const base = new URL(url, globalThis.location?.href).href.replace(/\/$/, "");
    const { signal } = this.#closing;
    const { wait, random, now } = surroundings;
    const patience = { wait, nap: napping(surroundings), random, signal };
    const line = { fetch: surroundings.fetch, base, cookies: Boolean(cookie) };
    const credentials = cookie
      ? new CookieCredentials(line, cookie, token ?? null)
      : new TokenCredentials(token ?? "");
    this.#surroundings = surroundings;
    this.#patience = patience;
    this.#http = new Http(line, credentials);
    this.#live = new Live({
      client: surroundings.client,
      url: `${base.replace(/^http/, "ws")}/ws`,
      credentials,
      changed: (state) => this.#changed(state),
      notKept: () => Promise.all([...this.#rooms.values()].map((room) => room.catchUp())),
      now,
      patience,
    });
    this.#tab = new Tab(surroundings.locks);
    this.#user = this.#identify();
    this.#run(this.#user);
    this.#run(this.#live.run());
    const renewed = (/** @type {string} */ fresh) => this.#live.renew(fresh);
    this.#run(renewInTime({ credentials, renewed, now, patience }));
    surroundings.onWake(() => this.#woken(), signal);
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
    });
    this.#rooms.set(number, room);
    this.#run(this.#user.then((user) => room.restore(user, this.#tab)));
    return room;
  }

  /** Who I am, and until when. @returns {Promise<Session>} */
  session() {
    return this.#http.call("GET", "/api/session");
  }

  /**
   * Any other call of the gateway's HTTP contract, as the same user.
   *
   * @param {string} method
   * @param {string} path begins with `/api/`
   * @param {object} [body]
   * @returns {Promise<any>} the JSON of the answer; rejects with a {@link Problem}
   */
  call(method, path, body) {
    return this.#http.call(method, path, body);
  }

  /** End everything. What is not sent yet is sent by the next page of this user. */
  close() {
    if (this.#closing.signal.aborted) return;
    this.#changed({ name: "closed", code: null, reason: "", detail: "", retryAt: null });
    this.#closing.abort(new Problem(0, "closed", "the connection was closed by the page"));
  }

  async #identify() {
    await this.#tab.live(this.#closing.signal);
    const { user } = await untilDone(() => this.session(), this.#patience);
    return user;
  }

  /** @param {State} state */
  #changed(state) {
    if (this.#closing.signal.aborted) return;
    this.#state = Object.freeze(state);
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
    if (state.name === "connected") {
      for (const room of this.#rooms.values()) this.#run(room.resume());
    }
  }

  #woken() {
    this.#live.verify();
    if (!this.#live.isOpen) return;
    for (const room of this.#rooms.values()) this.#run(room.catchUp());
  }

  /** What fails for good is told by the state, or by the room. @param {Promise<unknown>} task */
  #run(task) {
    task.catch((error) => {
      if (!(error instanceof Problem)) this.#surroundings.report(error);
    });
  }
}

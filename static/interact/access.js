import { isRefusal, Problem, ROOM_REPLACED } from "./problem.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").Access} AccessState */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */

/** Rough milliseconds until the room is asked again; each time longer, up to the last. */
const FIRST = 3_000;
const GROWTH = 1.5;
const LONGEST = 60_000;
/** The least milliseconds between two requests, however often the device wakes. */
const SHORTEST = 1_000;

/**
 * The wait before asking again whether the room admits us; slow and spread, because a whole class is
 * refused together. Pure.
 *
 * @param {number} attempt
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function askAgain(attempt, random) {
  return Math.min(FIRST * GROWTH ** attempt, LONGEST) * (0.5 + random());
}

/**
 * Whether a room admits its user. The room is asked when there is doubt; while it refuses, it is asked again and
 * again, as long as the page wants to get in.
 */
export class Access {
  /** @type {AccessState} */
  state = Object.freeze({ name: "unknown", role: null, problem: null });
  /** The room's last description of itself. @type {RoomInfo | null} */
  room = null;
  /** The room's identity, once it is known; it stays. @type {string | null} */
  identity = null;
  /** @type {Promise<RoomInfo> | null} */
  #asking = null;
  #watching = false;

  /**
   * @param {object} parts
   * @param {() => Promise<RoomInfo>} parts.info
   * @param {(destinations: Partial<RoomInfo["destinations"]>) => void} parts.allow is
   *   called with the destinations that are open now
   * @param {(state: AccessState) => void} parts.changed
   * @param {() => boolean} parts.isMissed whether the page wants a destination that is not open
   * @param {(task: Promise<unknown>) => void} parts.run takes care of what nobody awaits
   * @param {Patience} parts.patience
   */
  constructor({ info, allow, changed, isMissed, run, patience }) {
    this.info = info;
    this.allow = allow;
    this.changed = changed;
    this.isMissed = isMissed;
    this.run = run;
    this.patience = patience;
  }

  /** Ask the room; concurrent callers share one request. @returns {Promise<RoomInfo>} rejects if the room refuses */
  ask() {
    this.#asking ??= this.#learn(untilDone(this.info, this.patience)).finally(() => {
      this.#asking = null;
      this.watch();
    });
    return this.#asking;
  }

  /**
   * Take what the room says of itself in answer to somebody who has asked it once.
   *
   * @param {Promise<RoomInfo>} answer
   * @returns {Promise<RoomInfo>} rejects as the answer does
   */
  learn(answer) {
    return this.#learn(answer).finally(() => this.watch());
  }

  /** After a refusal: find out whether the room refuses us. Resolves when that is known. */
  async doubt() {
    try {
      await this.ask();
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  /** Ask again and again, as long as the answer matters. */
  watch() {
    if (this.#watching || !this.#isOfUse) return;
    this.#watching = true;
    this.run(this.#watch().finally(() => (this.#watching = false)));
  }

  async #watch() {
    const { wait, nap, random, signal } = this.patience;
    for (let attempt = 0; this.#isOfUse; attempt += 1) {
      await wait(SHORTEST, signal);
      await nap(askAgain(attempt, random), signal);
      if (this.#isOfUse) await this.doubt();
    }
  }

  get #isOfUse() {
    const isOver = this.state.name === "closed" || this.state.problem?.code === ROOM_REPLACED;
    return !isOver && this.isMissed();
  }

  /** @param {Promise<RoomInfo>} answer */
  async #learn(answer) {
    try {
      const room = await answer;
      const identity = room.identity ?? null;
      if (this.identity !== null && identity !== null && identity !== this.identity) {
        // Its messages have the numbers of those that are here, and its members see what is posted.
        throw new Problem(410, ROOM_REPLACED, "the room is another one now: load it again");
      }
      this.identity ??= identity;
      this.room = room;
      const isClosed = (room.closed_at ?? null) !== null;
      this.allow(isClosed ? {} : room.destinations);
      this.#tell({ name: isClosed ? "closed" : "in", role: room.role ?? null, problem: null });
      return room;
    } catch (error) {
      if (isRefusal(error)) {
        this.room = null;
        this.allow({});
        const isClosed = error.status === 410 && error.code !== ROOM_REPLACED;
        this.#tell({ name: isClosed ? "closed" : "out", role: null, problem: error });
      }
      throw error;
    }
  }

  /** @param {AccessState} state */
  #tell(state) {
    const { name, role, problem } = this.state;
    if (name === state.name && role === state.role && problem?.code === state.problem?.code) return;
    this.state = Object.freeze(state);
    this.changed(this.state);
  }
}

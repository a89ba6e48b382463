import { isRefusal } from "./problem.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./problem.js").Problem} Problem */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").Access} AccessState */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */

/** Milliseconds, about, until it is asked again; each time longer, up to the last. */
const FIRST = 3_000;
const GROWTH = 1.5;
const LONGEST = 60_000;
/** Milliseconds between two asks at least, however often the device wakes. */
const SHORTEST = 1_000;

/**
 * When to ask again whether we are let in: calm, and spread, because a class is sent away together. Pure.
 *
 * @param {number} attempt
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function askAgain(attempt, random) {
  return Math.min(FIRST * GROWTH ** attempt, LONGEST) * (0.5 + random());
}

/**
 * Whether a room lets its user in. Asked when somebody doubts it; while it does not, asked again and
 * again, as long as somebody wants to get in.
 */
export class Access {
  /** @type {AccessState} */
  state = Object.freeze({ name: "unknown", role: null, problem: null });
  /** What the room last told of itself. @type {RoomInfo | null} */
  room = null;
  /** @type {Promise<RoomInfo> | null} */
  #asking = null;
  #watching = false;

  /**
   * @param {object} parts
   * @param {() => Promise<RoomInfo>} parts.info
   * @param {(destinations: Partial<RoomInfo["destinations"]>) => void} parts.allow what may be heard now
   * @param {(state: AccessState) => void} parts.changed
   * @param {() => boolean} parts.isMissed whether somebody wants what is not allowed
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

  /** Ask, once for all who do so at a time. @returns {Promise<RoomInfo>} rejects if it does not let us in */
  ask() {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
      this.watch();
    });
    return this.#asking;
  }

  /** Something was refused: see whether that is about the room. Resolves when it is known. */
  async doubt() {
    try {
      await this.ask();
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  /** Ask again and again, while that is of use. */
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
    return this.state.name !== "closed" && this.isMissed();
  }

  async #ask() {
    try {
      const room = await untilDone(this.info, this.patience);
      this.room = room;
      const isClosed = (room.closed_at ?? null) !== null;
      this.allow(isClosed ? {} : room.destinations);
      this.#tell({ name: isClosed ? "closed" : "in", role: room.role ?? null, problem: null });
      return room;
    } catch (error) {
      if (isRefusal(error)) {
        this.room = null;
        this.allow({});
        this.#tell({ name: error.status === 410 ? "closed" : "out", role: null, problem: error });
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

/**
 * Time as it passes, whatever is done to the device's clocks: the wall clock is set, forth and back, and
 * the monotonic one stands still on some devices while they sleep (W3C High Resolution Time, section 7).
 *
 * @param {{wall: () => number, monotonic: () => number}} clocks in milliseconds
 * @returns {() => number} milliseconds since some moment, never going back
 */
export function passing({ wall, monotonic }) {
  let [at, seen] = [monotonic(), wall()];
  let slept = 0;
  return () => {
    const [now, shown] = [monotonic(), wall()];
    const ahead = shown - seen - (now - at);
    // What the wall clock is ahead was a sleep, or somebody has put it forward: that only makes us ask
    // earlier than needed. Less is a clock being adjusted.
    if (ahead > NOTICEABLE) slept += ahead;
    [at, seen] = [now, shown];
    return now + slept;
  };
}

/** Milliseconds. */
const NOTICEABLE = 1_000;

/** The gateway's time, as its answers tell it: its word counts when a token or a session ends. */
export class GatewayClock {
  /** The gateway's time less {@link elapsed}. @type {number | null} */
  #ahead = null;

  /** @param {{elapsed: () => number, now: () => number}} clocks `now`: this device's time */
  constructor({ elapsed, now }) {
    this.elapsed = elapsed;
    this.now = now;
  }

  /** @param {string | null | undefined} date the `Date` header of an answer that came just now */
  note(date) {
    const time = Date.parse(date ?? "");
    if (!Number.isNaN(time)) this.#ahead = time - this.elapsed();
  }

  /** Milliseconds since 1970, or null before the gateway has told. @returns {number | null} */
  get time() {
    return this.#ahead === null ? null : this.#ahead + this.elapsed();
  }
}

/** When something ends, however little is known of the time. Milliseconds. */
export class Term {
  /**
   * @param {number} endsAt by the clock of who decides it, since 1970
   * @param {number | null} lasts how long it lasts from its making on, if it tells
   * @param {GatewayClock} clock
   */
  constructor(endsAt, lasts, clock) {
    this.endsAt = endsAt;
    this.lasts = lasts;
    this.clock = clock;
    this.since = clock.elapsed();
  }

  /** What is left of it: by the gateway's time; else by its length; else by this device's clock. */
  get left() {
    const { endsAt, lasts, clock, since } = this;
    if (clock.time !== null) return endsAt - clock.time;
    if (lasts !== null) return lasts - (clock.elapsed() - since);
    return endsAt - clock.now();
  }
}

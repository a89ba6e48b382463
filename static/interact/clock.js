/**
 * Elapsed time, independent of changes to the device's clocks: the wall clock is set forward and back, and
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
    // The wall clock is ahead after a sleep, or because somebody has set it forward: that only makes us ask
    // earlier than needed. A small difference is a clock being adjusted.
    if (ahead > NOTICEABLE) slept += ahead;
    [at, seen] = [now, shown];
    return now + slept;
  };
}

/** Milliseconds. */
const NOTICEABLE = 1_000;

/** The gateway's time, from the `Date` of its answers: it decides when a token or a session ends. */
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

/** When a token or session ends, with as much as is known of the time. Milliseconds. */
export class Term {
  /**
   * @param {number} endsAt since 1970, by the clock of its issuer
   * @param {number | null} lasts how long it lasts from its making on, if it tells
   * @param {GatewayClock} clock
   */
  constructor(endsAt, lasts, clock) {
    this.endsAt = endsAt;
    this.lasts = lasts;
    this.clock = clock;
    this.since = clock.elapsed();
  }

  /** The time left: by the gateway's time, else by its length, else by this device's clock. */
  get left() {
    const { endsAt, lasts, clock, since } = this;
    if (clock.time !== null) return endsAt - clock.time;
    if (lasts !== null) return lasts - (clock.elapsed() - since);
    return endsAt - clock.now();
  }
}

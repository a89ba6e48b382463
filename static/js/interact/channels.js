import { Channel } from "./channel.js";
import { Problem } from "./problem.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */

/** What can be heard in one room, and by which channels it is. */
export class Channels {
  /** @type {Map<Audience, Channel>} */
  #channels = new Map();
  /** @type {Promise<RoomInfo> | null} */
  #described = null;

  /**
   * @param {object} parts
   * @param {Live} parts.live
   * @param {() => Promise<RoomInfo>} parts.describe
   * @param {(task: Promise<void>) => void} parts.run takes care of what nobody awaits
   */
  constructor({ live, describe, run }) {
    this.live = live;
    this.describe = describe;
    this.run = run;
  }

  /** @param {Audience} audience @returns {Promise<Channel>} */
  async channel(audience) {
    const { live, run } = this;
    const destination = await this.destination(audience);
    const channel = this.#channels.get(audience) ?? new Channel({ live, destination, run });
    this.#channels.set(audience, channel);
    return channel;
  }

  /**
   * Where something is heard; asked for once, because a page enters with several subscriptions.
   *
   * @param {Audience | "queue"} what
   * @returns {Promise<string>} rejects with a {@link Problem}
   */
  async destination(what) {
    this.#described ??= this.describe();
    try {
      const destination = (await this.#described).destinations[what];
      if (destination) return destination;
      throw new Problem(403, "access_refused", `${what}: this is for the room's hosts`);
    } catch (error) {
      // The next time my role may be another one.
      this.#described = null;
      throw error;
    }
  }

  /** Whether somebody listens who has not heard a seq. @param {Audience} audience @param {number} seq */
  awaits(audience, seq) {
    return this.#channels.get(audience)?.awaits(seq) ?? false;
  }

  /** Ask whether something was missed. */
  async catchUp() {
    await Promise.all([...this.#channels.values()].map((channel) => channel.catchUp()));
  }
}

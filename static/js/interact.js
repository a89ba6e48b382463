/**
 * The browser library of the interact gateway: `static/js/interact.md` shows how to use it.
 *
 * @typedef {import("./interact/types.js").Message} Message
 * @typedef {import("./interact/types.js").Receipt} Receipt
 * @typedef {import("./interact/types.js").Letter} Letter
 * @typedef {import("./interact/types.js").State} State
 * @typedef {import("./interact/types.js").Present} Present
 * @typedef {import("./interact/room.js").Room} Room
 * @typedef {import("./interact/subscription.js").Subscription} Subscription
 */

import { browser } from "./interact/browser.js";
import { Connection } from "./interact/connection.js";

export { Connection } from "./interact/connection.js";
export { Problem } from "./interact/problem.js";

/**
 * Connect to a gateway.
 *
 * @param {import("./interact/connection.js").Options} options
 * @returns {Connection}
 */
export function connect(options) {
  return new Connection(options, browser());
}

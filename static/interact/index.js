/**
 * The browser library of the interact gateway: `README.md` beside this file shows how to use it.
 *
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").Receipt} Receipt
 * @typedef {import("./types.js").PendingPost} PendingPost
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Present} Present
 * @typedef {import("./types.js").KeptEntry} KeptEntry
 * @typedef {import("./types.js").KeptChange} KeptChange
 * @typedef {import("./kept-state.js").KeptState} KeptState
 * @typedef {import("./room.js").Room} Room
 * @typedef {import("./subscription.js").Subscription} Subscription
 */

import { browser } from "./browser.js";
import { Connection } from "./connection.js";

export { Connection } from "./connection.js";
export { Problem } from "./problem.js";

/**
 * Connect to a gateway.
 *
 * @param {import("./connection.js").Options} options
 * @returns {Connection}
 */
export function connect(options) {
  return new Connection(options, browser());
}

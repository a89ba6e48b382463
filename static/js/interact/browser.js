import { Client } from "../../vendor/stompjs/index.js";
import { wait } from "./wait.js";

/** @typedef {import("../../vendor/stompjs/index.js").StompConfig} StompConfig */

/**
 * What the library needs of its surroundings; tests give their own.
 * @typedef {object} Surroundings
 * @property {typeof globalThis.fetch} fetch
 * @property {(config: StompConfig) => Client} client makes a STOMP client for one connection
 * @property {Storage | null} storage null where the browser keeps nothing
 * @property {LockManager | null} locks null on pages served by plain HTTP
 * @property {() => number} now milliseconds since 1970
 * @property {() => number} random gives 0 ≤ x < 1
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} wait
 * @property {(listener: () => void, signal: AbortSignal) => void} onWake calls the listener whenever the
 *   network is back or the page is looked at again
 * @property {(error: unknown) => void} report tells of an error in a page's own function
 */

/** @returns {Surroundings} */
export function browser() {
  return {
    fetch: (input, init) => fetch(input, init),
    client: (config) => new Client(config),
    storage: storage(),
    locks: navigator.locks ?? null,
    now: Date.now,
    random: Math.random,
    wait,
    onWake,
    report: reportError,
  };
}

function storage() {
  try {
    return localStorage;
  } catch {
    // The user has forbidden it: reading the property throws (HTML, "Web storage").
    return null;
  }
}

/** @param {() => void} listener @param {AbortSignal} signal */
function onWake(listener, signal) {
  addEventListener("online", listener, { signal });
  addEventListener("pageshow", listener, { signal });
  const seen = () => document.visibilityState === "visible" && listener();
  document.addEventListener("visibilitychange", seen, { signal });
}

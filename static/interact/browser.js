import { Client } from "../vendor/stompjs/index.js";
import { passing } from "./clock.js";
import { wait } from "./wait.js";

/** @typedef {import("../vendor/stompjs/index.js").StompConfig} StompConfig */

/**
 * Everything that the library needs from the browser; tests provide their own.
 * @typedef {object} Surroundings
 * @property {typeof globalThis.fetch} fetch
 * @property {(config: StompConfig) => Client} client makes a STOMP client for one connection
 * @property {Storage | null} storage null where the browser keeps nothing
 * @property {LockManager | null} locks null on pages served by plain HTTP
 * @property {() => number} now milliseconds since 1970, as the device's clock shows them
 * @property {() => number} elapsed milliseconds since some moment, sleep included, whatever is done to
 *   the clock
 * @property {() => number} random gives 0 ≤ x < 1
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} wait
 * @property {(listener: () => void, signal: AbortSignal) => void} onWake calls the listener whenever the
 *   network is back, or another one, or the page is looked at again
 * @property {(listener: (isSeen: boolean) => void, signal: AbortSignal) => void} onPulse calls the listener
 *   every second, or as often as the browser lets a page run; `isSeen`: whether the page is visible
 * @property {(name: string, listener: (data: unknown) => void, signal: AbortSignal) => (data: unknown) => void}
 *   broadcast returns a function whose argument is received by the browser's other pages
 * @property {(error: unknown) => void} report reports an error in a page's own function
 */

/** @returns {Surroundings} */
export function browser() {
  return {
    fetch: (input, init) => fetch(input, init),
    client: (config) => new Client(config),
    storage: storage(),
    locks: navigator.locks ?? null,
    now: Date.now,
    elapsed: passing({ wall: Date.now, monotonic: () => performance.now() }),
    random: Math.random,
    wait,
    onWake,
    onPulse,
    broadcast,
    report: reportError,
  };
}

function storage() {
  try {
    return localStorage;
  } catch {
    // The user has forbidden storage: reading the property throws (HTML, "Web storage").
    return null;
  }
}

/** @param {() => void} listener @param {AbortSignal} signal */
function onWake(listener, signal) {
  addEventListener("online", listener, { signal });
  addEventListener("pageshow", listener, { signal });
  addEventListener("focus", listener, { signal });
  document.addEventListener("resume", listener, { signal });
  // From the school's network to the telephone's, or back (Network Information API; not everywhere).
  const network = /** @type {any} */ (navigator).connection;
  let type = network?.type;
  const changed = () => {
    // The event also comes with every change of speed.
    if (network.type === type) return;
    type = network.type;
    listener();
  };
  network?.addEventListener("change", changed, { signal });
  const seen = () => document.visibilityState === "visible" && listener();
  document.addEventListener("visibilitychange", seen, { signal });
}

/** @param {(isSeen: boolean) => void} listener @param {AbortSignal} signal */
function onPulse(listener, signal) {
  if (signal.aborted) return;
  const timer = setInterval(() => listener(document.visibilityState === "visible"), 1_000);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

/** @type {Surroundings["broadcast"]} */
function broadcast(name, listener, signal) {
  if (signal.aborted || typeof BroadcastChannel === "undefined") return () => {};
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", ({ data }) => listener(data));
  signal.addEventListener("abort", () => channel.close(), { once: true });
  return (data) => {
    if (!signal.aborted) channel.postMessage(data);
  };
}

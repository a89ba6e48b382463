/** Class codes as people type and read them, and the way in by one. Pure, but for the given functions. */

import { Problem } from "../interact/index.js";

/** @typedef {{joined: true, room: number, user: string} | AtTheDoor} Answer */
/**
 * Not in yet: a nickname is needed, or (`knock`) a host decides; `ask_again` in seconds.
 * @typedef {{joined: false, title: string, guests: "yes" | "knock", knock?: string, ask_again?: number}} AtTheDoor
 */

/** The code in the address of a page below the gateway's; empty: it is to be typed; null: another page. @param {string} path */
export function codeInPath(path) {
  const found = /^\/j\/([^/]*)$/.exec(path);
  return found && decode(found[1]);
}

/** A code in two groups, as one reads it aloud. @param {string} code */
export function spelled(code) {
  return `${code.slice(0, 3)} ${code.slice(3)}`;
}

/**
 * Milliseconds until the same call is worth another try; null: it is not. A whole class comes at the bell, so some
 * are asked to wait.
 *
 * @param {unknown} error
 * @param {() => number} random from 0 to 1
 */
export function patience(error, random) {
  if (!(error instanceof Problem)) return null;
  if (error.code === "unreachable") return 2_000 * (0.75 + random() / 2);
  if (![429, 503].includes(error.status) || error.code === "too_many_codes") return null;
  return (error.retryAfter ?? 2_000) * (1 + random() / 2);
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

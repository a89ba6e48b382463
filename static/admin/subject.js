import { element } from "../shared/element.js";

/** What a page of the dashboard is about. @typedef {{kind: "user" | "room" | "connection" | "message", name: string}} Subject */

const HASH = /^#\/(user|room|connection|message)\/(.+)$/;

/** The subject that an address names; null: the overview. @param {string} hash @returns {Subject | null} */
export function subjectOf(hash) {
  const [, kind, name] = HASH.exec(hash) ?? [];
  if (!name) return null;
  try {
    return { kind: /** @type {Subject["kind"]} */ (kind), name: decodeURIComponent(name) };
  } catch {
    return null;
  }
}

/**
 * A link to the page of a user, a room, a connection or a message.
 *
 * @param {Subject["kind"]} kind
 * @param {string} name
 * @param {string} [label]
 */
export function subjectLink(kind, name, label = name) {
  const href = `#/${kind}/${encodeURIComponent(name)}`;
  return element("a", { href }, element("bdi", {}, label));
}

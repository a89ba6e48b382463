/** Messages as the gateway would deliver them. */

let count = 0;

/**
 * @param {"public" | "private"} audience
 * @param {string} sender
 * @param {string} type
 * @param {unknown} body
 * @param {{seq?: number | null, id?: string, role?: string | null}} rest `role`: by default Hana alone is
 *   a host
 */
function message(audience, sender, type, body, { seq, id, role } = {}) {
  count += 1;
  return {
    ...{ id: id ?? `id-${count}`, room: 7, audience, seq: seq === undefined ? count : seq },
    ...{ sender, role: role === undefined ? roleOf(sender) : role },
    ...{ sent_at: "2026-03-02T09:00:00.000000Z", type, body },
  };
}

/** @param {string} sender */
const roleOf = (sender) => (sender === "hana" ? "host" : "participant");

/** @type {(sender: string, type: string, body: unknown, rest?: object) => any} */
export const toAll = (...rest) => message("public", ...rest);

/** @type {(sender: string, type: string, body: unknown, rest?: object) => any} */
export const toHosts = (...rest) => message("private", ...rest);

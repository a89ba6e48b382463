/** Messages as the gateway would deliver them. */

let count = 0;

/**
 * @param {"public" | "private"} audience
 * @param {string} sender
 * @param {string} type
 * @param {unknown} body
 * @param {{seq?: number | null, id?: string, role?: string | null, keep?: string, of?: string, sent_at?: string}} rest
 *   `role`: by default Hana alone is a host
 */
function message(audience, sender, type, body, { seq, id, role, sent_at, ...kept } = {}) {
  count += 1;
  return {
    ...{ id: id ?? `id-${count}`, room: 7, audience, seq: seq === undefined ? count : seq },
    ...{ sender, role: role === undefined ? roleOf(sender) : role },
    ...{ sent_at: sent_at ?? "2026-03-02T09:00:00.000000Z", type, body, ...kept },
  };
}

/** @param {string} sender */
const roleOf = (sender) => (sender === "hana" ? "host" : "participant");

/** @type {(sender: string, type: string, body: unknown, rest?: object) => any} */
export const toAll = (...rest) => message("public", ...rest);

/** @type {(sender: string, type: string, body: unknown, rest?: object) => any} */
export const toHosts = (...rest) => message("private", ...rest);

/** The messages of a poll in the kept state, by Hana unless `rest` says otherwise. */
export const POLL = {
  asked: (id, body, rest) => toAll("hana", "poll", body, { keep: `poll:${id}`, ...rest }),
  taken: (id, body = { until: null, hidden: false }, rest = {}) =>
    toAll("hana", "voting", body, { keep: `voting:${id}`, ...rest }),
  ended: (id, rest) => toAll("hana", "voting", null, { keep: `voting:${id}`, ...rest }),
  shown: (id, body, rest) =>
    toAll("hana", "poll-closed", body && { poll: id, ...body }, { keep: `result:${id}`, ...rest }),
  solved: (id, body) => toHosts("hana", "poll-right", body, { keep: `right:${id}` }),
  vote: (user, id, choice, rest) =>
    toHosts(user, "vote", choice && { poll: id, ...choice }, { keep: `vote:${id}`, ...rest }),
};

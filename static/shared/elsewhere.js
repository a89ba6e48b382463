/** What the tabs of one browser tell each other about the session that they share. */

const NAME = "interact.session";

/**
 * `in`: somebody has logged in, or goes on with a session of before; `out`: somebody has logged out.
 * @typedef {{what: "in" | "out", user: string}} News
 */

/** @param {(news: News) => void} heard is told what another tab says */
export function elsewhere(heard) {
  const channel = new BroadcastChannel(NAME);
  channel.addEventListener("message", ({ data }) => heard(data));
  return {
    /** @param {News["what"]} what @param {string} user */
    tell(what, user) {
      channel.postMessage({ what, user });
    },
  };
}

/** Messages among the tabs of one browser about the session that they share. */

import { PATH } from "../interact/gateway-address.js";

const NAME = `interact.session${PATH}`;

/**
 * `in`: a user has logged in, or continues an earlier session; `out`: a user has logged out.
 * @typedef {{what: "in" | "out", user: string}} News
 */

/** @param {(news: News) => void} heard is called with the news of another tab */
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

/** The meaning of posts that are on their way. Pure. */

/** @typedef {import("../interact/types.js").PendingPost} PendingPost */

/**
 * The newest post of a type that may still arrive.
 *
 * @param {readonly PendingPost[]} posts
 * @param {string} type
 * @param {(body: any) => boolean} matches
 * @returns {PendingPost | null}
 */
export function pendingPost(posts, type, matches) {
  return (
    posts.findLast(
      (post) => post.type === type && post.state !== "refused" && matches(post.body),
    ) ?? null
  );
}

/** Types that are shown among the messages as soon as they are written. */
const SPOKEN = new Set(["message", "question", "answer"]);

/** The posts that are shown like messages, and all refused ones. @param {readonly PendingPost[]} posts */
export function shownPosts(posts) {
  return posts.filter((post) => isSpoken(post) || post.state === "refused");
}

/** Whether it is a text that can be edited and sent again. @param {PendingPost} post */
export function isSpoken({ type }) {
  return SPOKEN.has(type);
}

/** A post's text for its author. @param {PendingPost} post @returns {string} */
export function wordsOf({ type, body }) {
  const words = typeof body === "string" ? body : type.startsWith("poll") ? body?.question : body?.text;
  return typeof words === "string" ? words : "";
}

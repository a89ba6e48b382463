import { canonical, isSameId, uuid } from "./identifier.js";
import { toJson } from "./json.js";
import { Latch } from "./latch.js";
import { messageText, refuseWrongHead } from "./post-text.js";
import { Problem } from "./problem.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./post-store.js").PostStore} PostStore */
/** @typedef {import("./post-store.js").StoredPost} StoredPost */
/** @typedef {import("./post-text.js").NewPost} NewPost */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").PendingPost} PendingPost */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Receipt} Receipt */

/** The most posts that may wait, and the most characters of their messages together: enough for a lesson. */
const MOST_POSTS = 1_000;
const MOST_CHARACTERS = 1_000_000;
/** The most refused posts that are still listed; each was reported when it was refused. */
const MOST_REFUSED = 100;

/**
 * A page's posts in one room: sent one after the other, each until it is answered. A message is
 * encoded when it is posted, and the same bytes are sent each time.
 */
export class Outbox {
  /** @type {PendingPost[]} */
  #posts = [];
  /** Their messages' JSON, by id. @type {Map<string, string>} */
  #texts = new Map();
  /** The identities of the rooms that they were written in, by id. @type {Map<string, string | null>} */
  #rooms = new Map();
  /** Receipts that the page waits for, by id. @type {Map<string, Latch<Receipt>>} */
  #answers = new Map();
  /** Ids of messages that arrived before their POST was answered. @type {Set<string>} */
  #seen = new Set();
  /** @type {PostStore | null} */
  #store = null;
  #busy = false;

  /**
   * @param {object} parts
   * @param {(text: string, room: string | null) => Promise<Receipt>} parts.post sends a message's JSON to the room
   *   of this identity, and to no other one of its number
   * @param {() => string | null} parts.room the room's identity, if it is known
   * @param {() => void} parts.changed is called when {@link posts} or one of them has changed
   * @param {(post: PendingPost) => void} parts.refused is called with a post that will not be sent
   * @param {(audience: Audience, seq: number) => boolean} parts.comes whether the message will still come
   * @param {() => number} parts.now
   * @param {Patience} parts.patience
   */
  constructor({ post, room, changed, refused, comes, now, patience }) {
    this.post = post;
    this.room = room;
    this.changed = changed;
    this.refused = refused;
    this.comes = comes;
    this.now = now;
    this.patience = patience;
    const { signal } = patience;
    signal.addEventListener("abort", () => this.#abandon(signal.reason), { once: true });
  }

  /** Posts whose messages have not arrived yet. @returns {readonly PendingPost[]} */
  get posts() {
    return this.#posts.filter(({ id }) => !this.#seen.has(id));
  }

  /**
   * @param {NewPost} what
   * @returns {Promise<Receipt>} rejects with a final {@link Problem}; it need not be handled,
   *   because {@link refused} is called as well
   */
  send(what) {
    try {
      return this.#take(what);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      const { id = "", audience, type, body } = what;
      const post = { id, audience, type, body, written: this.now(), saved: false };
      this.refused({ ...post, state: "refused", problem });
      /** @type {Latch<Receipt>} */
      const answer = new Latch();
      answer.fail(problem);
      return answer.opened;
    }
  }

  /** @param {NewPost} what @returns {Promise<Receipt>} */
  #take({ id: given = uuid(), audience, type, body, importance }) {
    const { signal } = this.patience;
    if (signal.aborted) throw signal.reason;
    const id = canonical(given);
    if (id === null) throw new Problem(400, "invalid_request", "id: must be a UUID");
    refuseWrongHead({ audience, type, importance });
    const written = toJson(body);
    const text = messageText({ id, audience, type }, written);
    const post = this.#posts.find((one) => one.id === id) ?? null;
    if (post !== null && this.#texts.get(id) !== text) {
      throw new Problem(422, "id_reused", "this id was used for another message");
    }
    /** @type {Latch<Receipt>} */
    const answer = this.#answers.get(id) ?? new Latch();
    if (post === null) {
      this.#makeSureOfRoomFor(text);
      const room = this.room();
      this.#add({ id, audience, type, body: JSON.parse(written), written: this.now(), text, room });
    } else if (post.state === "refused" || post.state === "confirmed") {
      post.state = "sending";
      post.saved = false;
      this.#saveAll();
    }
    this.#answers.set(id, answer);
    this.changed();
    this.resume();
    return answer.opened;
  }

  /** Keep unsent posts over a reload, and send those that were left behind. @param {PostStore} store */
  async keepIn(store) {
    this.#store = store;
    this.#saveAll();
    await this.adopt();
  }

  /** Send what pages that are gone have left behind. */
  async adopt() {
    const kept = (await this.#store?.adopt()) ?? [];
    if (this.patience.signal.aborted) return;
    const adopted = kept.filter(({ id }) => this.#posts.every((post) => post.id !== id));
    if (adopted.length === 0) return;
    const mine = this.#posts;
    this.#posts = [];
    for (const post of adopted) this.#add(post);
    this.#posts.push(...mine);
    this.changed();
    this.resume();
  }

  /** Drop a refused post that the user has seen. @param {string} id */
  forget(id) {
    const post = this.#posts.find((one) => isSameId(id, one.id));
    if (post?.state === "refused") this.#remove(post.id);
  }

  /** A message came back from the gateway. @param {Pick<Message, "id">} message */
  arrived({ id }) {
    const post = this.#posts.find((one) => isSameId(id, one.id));
    if (!post) return;
    if (post.state === "confirmed") this.#remove(post.id);
    else {
      this.#seen.add(post.id);
      this.changed();
    }
  }

  /** Nobody listens to an audience any more. */
  prune() {
    const gone = this.#posts.filter(
      ({ state, audience }) => state === "confirmed" && !this.comes(audience, Infinity),
    );
    for (const { id } of gone) this.#remove(id);
  }

  /** Go on sending. */
  resume() {
    if (this.#busy) return;
    this.#busy = true;
    void this.#deliverAll();
  }

  async #deliverAll() {
    try {
      for (let next; (next = this.#unsent[0]);) {
        if (!(await this.#deliver(next))) return;
      }
    } finally {
      // Cleared in the same turn as the last check, so that a post of the next turn starts sending.
      this.#busy = false;
    }
  }

  /** @param {PendingPost} post @returns {Promise<boolean>} whether to go on with the next one */
  async #deliver(post) {
    const { id, audience } = post;
    const text = this.#texts.get(id) ?? "";
    try {
      const receipt = await untilDone(
        () => this.post(text, this.#rooms.get(id) ?? null),
        this.patience,
        (problem) => this.#mark(post, "waiting", problem),
      );
      this.#store?.remove(id);
      this.#saveAll();
      this.#answer(id)?.open(receipt);
      const comes = !this.#seen.has(id) && this.comes(audience, Number(receipt.seq));
      if (comes) this.#mark(post, "confirmed", null);
      else this.#remove(id);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.passes) {
        // The page has ended; stored posts are for the next page.
        this.#abandon(error);
        return false;
      }
      if (error.status === 401) {
        // Nobody is logged in: the post waits until the same user is.
        this.#mark(post, "waiting", error);
        return false;
      }
      this.#store?.remove(id);
      this.#answer(id)?.fail(error);
      this.#mark(post, "refused", error);
      this.refused(post);
      this.#forgetOldest();
      return true;
    }
  }

  get #unsent() {
    return this.#posts.filter(({ state }) => state === "sending" || state === "waiting");
  }

  /** @param {string} text */
  #makeSureOfRoomFor(text) {
    if (text.length > MOST_CHARACTERS) {
      throw new Problem(413, "outbox_full", `a message has at most ${MOST_CHARACTERS} characters`);
    }
    const unsent = this.#unsent;
    const characters = unsent.reduce(
      (sum, { id }) => sum + (this.#texts.get(id)?.length ?? 0),
      text.length,
    );
    if (unsent.length >= MOST_POSTS || characters > MOST_CHARACTERS) {
      throw new Problem(0, "outbox_full", "too many messages wait to be sent already");
    }
  }

  /** @param {StoredPost} kept */
  #add({ id, audience, type, body, written, text, room }) {
    this.#texts.set(id, text);
    this.#rooms.set(id, room);
    const saved = this.#store?.save({ id, written, text, room }) ?? false;
    this.#posts.push({
      ...{ id, audience, type, body, written, saved },
      ...{ state: "sending", problem: null },
    });
  }

  /** Save the posts that are not saved yet. */
  #saveAll() {
    for (const post of this.#unsent) {
      if (post.saved || this.#store === null) continue;
      const text = this.#texts.get(post.id) ?? "";
      const room = this.#rooms.get(post.id) ?? null;
      post.saved = this.#store.save({ ...post, text, room });
      // Storage is full: the next post is not stored either, or the order would be lost.
      if (!post.saved) return;
      this.changed();
    }
  }

  /** End the outbox of this page. @param {unknown} reason */
  #abandon(reason) {
    for (const [id, { fail }] of this.#answers) {
      this.#answers.delete(id);
      fail(reason);
    }
  }

  #forgetOldest() {
    const refused = this.#posts.filter(({ state }) => state === "refused");
    if (refused.length > MOST_REFUSED) this.#remove(refused[0].id);
  }

  /** @param {PendingPost} post @param {PendingPost["state"]} state @param {Problem | null} problem */
  #mark(post, state, problem) {
    post.state = state;
    post.problem = problem;
    this.changed();
  }

  /** @param {string} id */
  #remove(id) {
    this.#posts = this.#posts.filter((post) => post.id !== id);
    this.#seen.delete(id);
    this.#texts.delete(id);
    this.#rooms.delete(id);
    this.changed();
  }

  /** Take out the latch of a receipt. @param {string} id */
  #answer(id) {
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    return answer;
  }
}

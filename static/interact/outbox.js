import { canonical, isSameId, uuid } from "./identifier.js";
import { toJson } from "./json.js";
import { Latch } from "./latch.js";
import { messageText, refuseWrongHead } from "./post-text.js";
import { Problem } from "./problem.js";
import { pause, untilDone } from "./retry.js";

/** @typedef {import("./post-store.js").PostStore} PostStore */
/** @typedef {import("./post-store.js").StoredPost} StoredPost */
/** @typedef {import("./post-text.js").NewPost} NewPost */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").PendingPost} PendingPost */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Receipt} Receipt */
/** @typedef {Pick<Message, "id"> & Partial<Message>} Arrived */

/**
 * The most posts that may wait, and the most characters of their messages together: enough for a lesson. As
 * many refused posts are listed.
 */
const MOST_POSTS = 1_000;
const MOST_CHARACTERS = 1_000_000;
/** Refusals for now that concern what is said to everyone: a vote or a question need not wait for them. */
const OF_WHAT_ALL_READ = new Set(["slow_mode", "too_many_waiting"]);

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
  /** When this page wrote the newest post of each entry of the kept state, sent or not. @type {Map<string, number>} */
  #written = new Map();
  /** Messages that arrived before their POST was answered, by id. @type {Map<string, Arrived>} */
  #seen = new Map();
  /** The post that is being sent. @type {PendingPost | null} */
  #current = null;
  /** Ends when posts to everyone may be sent again; null: they may. @type {Promise<void> | null} */
  #held = null;
  /** Is told of what might be sent while everything is held. @type {Latch<void> | null} */
  #news = null;
  /** Why nothing is sent any more. @type {Problem | null} */
  #halted = null;
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
   * @param {(post: PendingPost) => void} [parts.dropped] is called with a refused post that is not listed any more,
   *   because there are too many
   * @param {(post: PendingPost, receipt: Receipt) => void} [parts.stored] is called with each stored post
   * @param {(audience: Audience, seq: number) => boolean} parts.comes whether the message will still come
   * @param {() => number} parts.now
   * @param {Patience} parts.patience
   */
  constructor({ post, room, changed, refused, dropped = () => {}, stored = () => {}, comes, now, patience }) {
    this.post = post;
    this.room = room;
    this.changed = changed;
    this.refused = refused;
    this.dropped = dropped;
    this.stored = stored;
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
      const { id = "", importance, ...said } = what;
      const post = { ...said, id, written: this.now(), saved: false };
      this.refused({ ...post, state: "refused", problem });
      /** @type {Latch<Receipt>} */
      const answer = new Latch();
      answer.fail(problem);
      return answer.opened;
    }
  }

  /** @param {NewPost} what @returns {Promise<Receipt>} */
  #take({ id: given = uuid(), body, importance, ...head }) {
    const { signal } = this.patience;
    if (signal.aborted) throw signal.reason;
    if (this.#halted !== null) throw this.#halted;
    const id = canonical(given);
    if (id === null) throw new Problem(400, "invalid_request", "id: must be a UUID");
    refuseWrongHead({ ...head, importance });
    const written = toJson(body);
    const text = messageText({ id, ...head }, written);
    const post = this.#posts.find((one) => one.id === id) ?? null;
    if (post !== null && this.#texts.get(id) !== text) {
      throw new Problem(422, "id_reused", "this id was used for another message");
    }
    /** @type {Latch<Receipt>} */
    const answer = this.#answers.get(id) ?? new Latch();
    if (post === null) {
      const older = this.#replacedBy(head);
      this.#makeSureOfRoomFor(text, older);
      for (const one of older) this.#replace(one);
      const room = this.room();
      this.#add({ ...head, id, body: JSON.parse(written), written: this.now(), text, room });
      if (head.keep !== undefined) this.#noteEntry(entryOf({ ...head, room }));
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
    const adopted = this.#newestOf(kept.filter(({ id }) => this.#posts.every((post) => post.id !== id)));
    if (adopted.length === 0) return;
    for (const { room, ...post } of adopted) {
      const older = this.#replacedBy(post).filter(({ id }) => this.#rooms.get(id) === room);
      for (const one of older) this.#replace(one);
    }
    const mine = this.#posts;
    this.#posts = [];
    for (const post of adopted) this.#add(post);
    this.#posts.push(...mine);
    this.changed();
    this.resume();
  }

  /**
   * Of posts that others have left those that are still wanted: of an entry of the kept state the newest, unless this
   * page has written a newer one, which the older one would undo.
   *
   * @param {StoredPost[]} left oldest first
   */
  #newestOf(left) {
    const last = new Map(left.map((post) => [entryOf(post), post]));
    return left.filter((post) => {
      const entry = entryOf(post);
      if (post.keep === undefined) return true;
      if (last.get(entry) === post && post.order > (this.#written.get(entry) ?? -Infinity)) return true;
      this.#store?.remove(post.id);
      return false;
    });
  }

  /** @param {string} entry that this page writes now */
  #noteEntry(entry) {
    this.#written.delete(entry);
    this.#written.set(entry, this.now());
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= MOST_POSTS) break;
      this.#written.delete(oldest);
    }
  }

  /** Drop a refused post that the user has seen. @param {string} id */
  forget(id) {
    const post = this.#posts.find((one) => isSameId(id, one.id));
    if (post?.state === "refused") this.#remove(post.id);
  }

  /**
   * A message came back from the gateway: it is stored, whatever its POST will be answered.
   *
   * @param {Arrived} message
   */
  arrived(message) {
    const post = this.#posts.find((one) => isSameId(message.id, one.id));
    if (!post) return;
    if (post.state === "confirmed" || post.state === "refused") this.#remove(post.id);
    else {
      this.#seen.set(post.id, message);
      this.changed();
    }
  }

  /** Send nothing more: the gateway has sent this page away. @param {Problem} problem */
  halt(problem) {
    this.#halted = problem;
    for (const post of this.#unsent) this.#mark(post, "waiting", problem);
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
    this.#news?.open();
    if (this.#busy) return;
    this.#busy = true;
    void this.#deliverAll();
  }

  async #deliverAll() {
    try {
      while (this.#unsent.length > 0) {
        const next = this.#unsent.find(
          ({ audience, keep }) => this.#held === null || audience === "private" || keep !== undefined,
        );
        if (next !== undefined) {
          this.#current = next;
          if (!(await this.#deliver(next))) return;
        } else {
          this.#current = null;
          this.#news = new Latch();
          await Promise.race([this.#held, this.#news.opened]);
        }
      }
    } catch (error) {
      if (!this.patience.signal.aborted) throw error;
      // The page has ended while everything was held.
      this.#abandon(error);
    } finally {
      this.#news = null;
      this.#current = null;
      // Cleared in the same turn as the last check, so that a post of the next turn starts sending.
      this.#busy = false;
    }
  }

  /** @param {PendingPost} post @returns {Promise<boolean>} whether to go on with the next one */
  async #deliver(post) {
    const { id } = post;
    const text = this.#texts.get(id) ?? "";
    try {
      const attempt = async () => {
        if (this.#halted !== null) throw this.#halted;
        const receipt = this.#receiptOf(id);
        if (receipt !== null) return receipt;
        try {
          return await this.post(text, this.#rooms.get(id) ?? null);
        } catch (problem) {
          if (!(problem instanceof Problem && OF_WHAT_ALL_READ.has(problem.code))) throw problem;
          this.#mark(post, "waiting", problem);
          this.#hold(problem);
          return null;
        }
      };
      const receipt = await untilDone(attempt, this.patience, (problem) =>
        this.#mark(post, "waiting", problem),
      );
      if (receipt !== null) this.#confirm(post, receipt);
      return true;
    } catch (error) {
      // Its answer was lost, and meanwhile its sender may not send it any more.
      const receipt = this.#receiptOf(id);
      if (receipt !== null) {
        this.#confirm(post, receipt);
        return true;
      }
      if (!(error instanceof Problem) || error.passes) {
        // The page has ended; stored posts are for the next page.
        this.#abandon(error);
        return false;
      }
      if (error.status === 401 || error.code === "kept_out" || error === this.#halted) {
        // Nobody is logged in, or the user is kept out for a while: the post waits until the same user is in.
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

  /** Send nothing to everyone for as long as the gateway asks for. @param {Problem} problem */
  #hold({ retryAfter }) {
    this.#held = pause(0, retryAfter, this.patience).then(() => {
      this.#held = null;
    });
    // Whoever waits for it hears of an error.
    this.#held.catch(() => {});
  }

  /** @param {PendingPost} post @param {Receipt} receipt */
  #confirm(post, receipt) {
    const { id, audience } = post;
    this.#store?.remove(id);
    this.#saveAll();
    this.#answer(id)?.open(receipt);
    this.stored(post, receipt);
    const comes = !this.#seen.has(id) && this.comes(audience, Number(receipt.seq));
    if (comes) this.#mark(post, "confirmed", null);
    else this.#remove(id);
  }

  /** The receipt of a post whose message has arrived. @param {string} id @returns {Receipt | null} */
  #receiptOf(id) {
    const { seq, sent_at = "" } = this.#seen.get(id) ?? {};
    return seq === undefined ? null : { id, seq, sent_at, published: true };
  }

  /**
   * Unsent posts that a post makes obsolete: those of the same entry of the kept state. The one that is being
   * sent is none of them: it may have been stored, and could otherwise arrive later than the newer one.
   *
   * @param {Pick<NewPost, "audience" | "keep" | "of">} head
   */
  #replacedBy({ audience, keep, of }) {
    if (keep === undefined) return [];
    return this.#unsent.filter(
      (post) =>
        post !== this.#current && post.keep === keep && post.of === of && post.audience === audience,
    );
  }

  /** @param {PendingPost} post */
  #replace({ id }) {
    this.#store?.remove(id);
    this.#answer(id)?.fail(new Problem(0, "replaced", "a newer post of the same key is sent instead"));
    this.#remove(id);
  }

  get #unsent() {
    return this.#posts.filter(({ state }) => state === "sending" || state === "waiting");
  }

  /** @param {string} text @param {PendingPost[]} without posts that will leave */
  #makeSureOfRoomFor(text, without) {
    if (text.length > MOST_CHARACTERS) {
      throw new Problem(413, "outbox_full", `a message has at most ${MOST_CHARACTERS} characters`);
    }
    const unsent = this.#unsent.filter((post) => !without.includes(post));
    const characters = text.length + this.#lengthOf(unsent);
    if (unsent.length >= MOST_POSTS || characters > MOST_CHARACTERS) {
      throw new Problem(0, "outbox_full", "too many messages wait to be sent already");
    }
  }

  /** The characters of posts' messages. @param {PendingPost[]} posts */
  #lengthOf(posts) {
    return posts.reduce((sum, { id }) => sum + (this.#texts.get(id)?.length ?? 0), 0);
  }

  /** @param {Omit<StoredPost, "order"> & {order?: number}} kept */
  #add({ text, room, order, ...post }) {
    const { id, written } = post;
    this.#texts.set(id, text);
    this.#rooms.set(id, room);
    const saved = this.#store?.save({ id, written, text, room, order }) ?? false;
    this.#posts.push({ ...post, saved, state: "sending", problem: null });
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
    for (let rest = refused; rest.length > 1; rest = rest.slice(1)) {
      if (rest.length <= MOST_POSTS && this.#lengthOf(rest) <= MOST_CHARACTERS) return;
      this.#remove(rest[0].id);
      this.dropped(rest[0]);
    }
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

/** @param {Pick<StoredPost, "room" | "audience" | "keep" | "of">} post of the kept state */
function entryOf({ room, audience, keep, of }) {
  return JSON.stringify([room, audience, keep, of ?? null]);
}

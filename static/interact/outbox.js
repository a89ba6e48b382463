import { canonical, isSameId, uuid } from "./identifier.js";
import { toJson } from "./json.js";
import { Latch } from "./latch.js";
import { messageText, refuseWrongHead } from "./letter.js";
import { Problem } from "./problem.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./letter-store.js").LetterStore} LetterStore */
/** @typedef {import("./letter-store.js").Kept} Kept */
/** @typedef {import("./letter.js").Spoken} Spoken */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Receipt} Receipt */

/** Letters that may wait, and the characters of their messages together: a lesson's worth of a page. */
const MOST_LETTERS = 1_000;
const MOST_CHARACTERS = 1_000_000;
/** Refused letters that are still shown; each was told when it was refused. */
const MOST_REFUSED = 100;

/**
 * What a page says in one room: one message after the other, each until it is answered. A message is
 * written down when it is said, and the same bytes are sent each time.
 */
export class Outbox {
  /** @type {Letter[]} */
  #letters = [];
  /** Their messages' JSON, by id. @type {Map<string, string>} */
  #texts = new Map();
  /** Answers that somebody waits for, by id. @type {Map<string, Latch<Receipt>>} */
  #answers = new Map();
  /** Ids of what came back before its answer did. @type {Set<string>} */
  #seen = new Set();
  /** @type {LetterStore | null} */
  #store = null;
  #busy = false;

  /**
   * @param {object} parts
   * @param {(text: string) => Promise<Receipt>} parts.post sends a message's JSON
   * @param {() => void} parts.changed is told when {@link letters}, or one of them, changed
   * @param {(letter: Letter) => void} parts.refused is told of what is not sent, and will not be
   * @param {(audience: Audience, seq: number) => boolean} parts.comes whether the message will still come
   * @param {() => number} parts.now
   * @param {Patience} parts.patience
   */
  constructor({ post, changed, refused, comes, now, patience }) {
    this.post = post;
    this.changed = changed;
    this.refused = refused;
    this.comes = comes;
    this.now = now;
    this.patience = patience;
    const { signal } = patience;
    signal.addEventListener("abort", () => this.#abandon(signal.reason), { once: true });
  }

  /** What was said and has not come back. @returns {readonly Letter[]} */
  get letters() {
    return this.#letters.filter(({ id }) => !this.#seen.has(id));
  }

  /**
   * @param {Spoken} what
   * @returns {Promise<Receipt>} rejects with a {@link Problem} that does not pass; nobody has to listen,
   *   because {@link refused} is told as well
   */
  send(what) {
    try {
      return this.#take(what);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      const { id = "", audience, type, body } = what;
      const letter = { id, audience, type, body, written: this.now(), saved: false };
      this.refused({ ...letter, state: "refused", problem });
      /** @type {Latch<Receipt>} */
      const answer = new Latch();
      answer.fail(problem);
      return answer.opened;
    }
  }

  /** @param {Spoken} what @returns {Promise<Receipt>} */
  #take({ id: given = uuid(), audience, type, body, importance }) {
    const { signal } = this.patience;
    if (signal.aborted) throw signal.reason;
    const id = canonical(given);
    if (id === null) throw new Problem(400, "invalid_request", "id: must be a UUID");
    refuseWrongHead({ audience, type, importance });
    const written = toJson(body);
    const text = messageText({ id, audience, type }, written);
    const letter = this.#letters.find((one) => one.id === id) ?? null;
    if (letter !== null && this.#texts.get(id) !== text) {
      throw new Problem(422, "id_reused", "this id was used for another message");
    }
    /** @type {Latch<Receipt>} */
    const answer = this.#answers.get(id) ?? new Latch();
    if (letter === null) {
      this.#makeSureOfRoomFor(text);
      this.#add({ id, audience, type, body: JSON.parse(written), written: this.now(), text });
    } else if (letter.state === "refused" || letter.state === "confirmed") {
      letter.state = "sending";
      letter.saved = false;
      this.#saveAll();
    }
    this.#answers.set(id, answer);
    this.changed();
    this.resume();
    return answer.opened;
  }

  /** Keep what is not sent over a reload, and send what was left behind. @param {LetterStore} store */
  async keepIn(store) {
    this.#store = store;
    this.#saveAll();
    await this.adopt();
  }

  /** Send what pages that are gone have left behind. */
  async adopt() {
    const kept = (await this.#store?.adopt()) ?? [];
    if (this.patience.signal.aborted) return;
    const adopted = kept.filter(({ id }) => this.#letters.every((letter) => letter.id !== id));
    if (adopted.length === 0) return;
    const mine = this.#letters;
    this.#letters = [];
    for (const letter of adopted) this.#add(letter);
    this.#letters.push(...mine);
    this.changed();
    this.resume();
  }

  /** It was refused, and the user has seen that. @param {string} id */
  forget(id) {
    const letter = this.#letters.find((one) => isSameId(id, one.id));
    if (letter?.state === "refused") this.#remove(letter.id);
  }

  /** A message came back from the gateway. @param {Pick<Message, "id">} message */
  arrived({ id }) {
    const letter = this.#letters.find((one) => isSameId(id, one.id));
    if (!letter) return;
    if (letter.state === "confirmed") this.#remove(letter.id);
    else {
      this.#seen.add(letter.id);
      this.changed();
    }
  }

  /** Nobody listens to an audience any more. */
  prune() {
    const gone = this.#letters.filter(
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
      // In the turn that found nothing more: what is said in the next one must not wait for others.
      this.#busy = false;
    }
  }

  /** @param {Letter} letter @returns {Promise<boolean>} whether to go on with the next one */
  async #deliver(letter) {
    const { id, audience } = letter;
    const text = this.#texts.get(id) ?? "";
    try {
      const receipt = await untilDone(
        () => this.post(text),
        this.patience,
        (problem) => this.#mark(letter, "waiting", problem),
      );
      this.#store?.remove(id);
      this.#saveAll();
      this.#answer(id)?.open(receipt);
      const comes = !this.#seen.has(id) && this.comes(audience, Number(receipt.seq));
      if (comes) this.#mark(letter, "confirmed", null);
      else this.#remove(id);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.passes) {
        // The page has ended it; what is kept is for the next one.
        this.#abandon(error);
        return false;
      }
      if (error.status === 401) {
        // Nobody is logged in: it waits for the next one of the same name.
        this.#mark(letter, "waiting", error);
        return false;
      }
      this.#store?.remove(id);
      this.#answer(id)?.fail(error);
      this.#mark(letter, "refused", error);
      this.refused(letter);
      this.#forgetOldest();
      return true;
    }
  }

  get #unsent() {
    return this.#letters.filter(({ state }) => state === "sending" || state === "waiting");
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
    if (unsent.length >= MOST_LETTERS || characters > MOST_CHARACTERS) {
      throw new Problem(0, "outbox_full", "too much waits to be sent already");
    }
  }

  /** @param {Kept} kept */
  #add({ id, audience, type, body, written, text }) {
    this.#texts.set(id, text);
    const saved = this.#store?.save({ id, written, text }) ?? false;
    this.#letters.push({
      ...{ id, audience, type, body, written, saved },
      ...{ state: "sending", problem: null },
    });
  }

  /** Save what could not be, or not yet. */
  #saveAll() {
    for (const letter of this.#unsent) {
      if (letter.saved || this.#store === null) continue;
      const text = this.#texts.get(letter.id) ?? "";
      letter.saved = this.#store.save({ ...letter, text });
      // There is no room: not for the next one either, or not in its order.
      if (!letter.saved) return;
      this.changed();
    }
  }

  /** It is over here. @param {unknown} reason */
  #abandon(reason) {
    for (const [id, { fail }] of this.#answers) {
      this.#answers.delete(id);
      fail(reason);
    }
  }

  #forgetOldest() {
    const refused = this.#letters.filter(({ state }) => state === "refused");
    if (refused.length > MOST_REFUSED) this.#remove(refused[0].id);
  }

  /** @param {Letter} letter @param {Letter["state"]} state @param {Problem | null} problem */
  #mark(letter, state, problem) {
    letter.state = state;
    letter.problem = problem;
    this.changed();
  }

  /** @param {string} id */
  #remove(id) {
    this.#letters = this.#letters.filter((letter) => letter.id !== id);
    this.#seen.delete(id);
    this.#texts.delete(id);
    this.changed();
  }

  /** Who waits for an answer, for the last time. @param {string} id */
  #answer(id) {
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    return answer;
  }
}

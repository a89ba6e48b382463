import { composer } from "./composer.js";
import { element } from "./element.js";
import { letterItem, messageItem } from "./items.js";

/** @typedef {import("../api.js").Message} Message */
/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../outgoing.js").Outgoing} Outgoing */

/** Pixels from the end at which the reader still follows what comes. */
const NEAR_END = 60;

/** One stream on the page: what was said, what is on its way, and a field to say something. */
export class Panel {
  /** Is told how many messages came while the panel was hidden. @type {(count: number) => void} */
  unread = () => {};
  #following = true;
  #unread = 0;

  /**
   * @param {object} parts
   * @param {I18n} parts.i18n
   * @param {string} parts.me
   * @param {string} parts.words which words: `public`, `private` or `hosts`
   * @param {Outgoing} parts.outgoing
   */
  constructor({ i18n, me, words, outgoing }) {
    this.i18n = i18n;
    this.me = me;
    this.outgoing = outgoing;
    const say = (/** @type {string} */ key) => i18n.say(key);

    this.title = say(`${words}.title`);
    this.messages = element("ol", {});
    this.letters = element("ol", {});
    this.log = element(
      "div",
      { role: "log", "aria-label": this.title, "aria-busy": "true" },
      this.messages,
    );
    this.empty = element("p", { class: "empty", hidden: true }, say("panel.empty"));
    this.earlier = element("button", { type: "button", hidden: true }, say("panel.earlier"));
    this.newest = element(
      "button",
      { type: "button", class: "newest", hidden: true, click: () => this.#toEnd() },
      say("panel.newest"),
    );
    this.scroller = element(
      "div",
      { class: "scroller", tabindex: "0", scroll: () => this.#scrolled() },
      this.earlier,
      this.empty,
      this.log,
      this.letters,
    );
    this.composer = composer({
      label: say(`${words}.label`),
      button: say("send"),
      send: (text) => void outgoing.send(text),
    });
    const hint = words === "public" ? [] : [element("p", { class: "hint" }, say(`${words}.hint`))];
    this.section = element(
      "section",
      { class: `panel ${words}`, "aria-label": this.title },
      element("h2", {}, this.title),
      ...hint,
      this.scroller,
      this.newest,
      this.composer.form,
    );
    outgoing.changed = () => this.#showLetters();
    this.#showLetters();
    // Also when the panel appears, and when a keyboard takes half of a phone's screen.
    new ResizeObserver(() => this.#resized()).observe(this.scroller);
  }

  /** Show a message at its place. @param {Message} message @param {number} index */
  insert(message, index) {
    const own = message.sender === this.me;
    const item = messageItem(message, { i18n: this.i18n, own });
    this.messages.insertBefore(item, this.messages.children[index] ?? null);
    this.empty.hidden = true;
    if (own) this.outgoing.forget(message.id);
    if (this.#following || own) this.#toEnd();
    else this.newest.hidden = this.#isFilling;
    if (!own && !this.#isFilling && !this.#isVisible) this.#count(this.#unread + 1);
  }

  /**
   * The history is shown; from now on messages are news.
   *
   * @param {(() => Promise<void>) | null} readEarlier for what came before it, if anything did
   */
  filled(readEarlier) {
    this.earlier.hidden = readEarlier === null;
    this.earlier.onclick = readEarlier && (() => this.#showEarlier(readEarlier));
    this.empty.hidden = this.messages.childElementCount > 0;
    this.log.setAttribute("aria-busy", "false");
  }

  /** Nothing can be said here any more. */
  close() {
    this.composer.form.remove();
  }

  get #isFilling() {
    return this.log.getAttribute("aria-busy") === "true";
  }

  get #isVisible() {
    return this.scroller.getClientRects().length > 0;
  }

  /** @param {() => Promise<void>} readEarlier */
  async #showEarlier(readEarlier) {
    const { scroller, log, earlier } = this;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    log.setAttribute("aria-busy", "true");
    earlier.disabled = true;
    try {
      await readEarlier();
    } finally {
      earlier.disabled = false;
      log.setAttribute("aria-busy", "false");
    }
    scroller.scrollTop = scroller.scrollHeight - fromEnd;
  }

  #showLetters() {
    const { i18n, outgoing } = this;
    const items = outgoing.letters.map((letter) =>
      letterItem(letter, {
        i18n,
        edit: () => {
          outgoing.forget(letter.id);
          this.composer.edit(letter.body);
        },
        drop: () => outgoing.forget(letter.id),
      }),
    );
    const isNew = items.length > this.letters.childElementCount;
    this.letters.replaceChildren(...items);
    if (isNew) this.#toEnd();
  }

  #toEnd() {
    this.#following = true;
    this.newest.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#following) this.newest.hidden = true;
  }

  #resized() {
    if (!this.#isVisible) return;
    if (this.#following) this.#toEnd();
    this.#count(0);
  }

  /** @param {number} unread */
  #count(unread) {
    this.#unread = unread;
    this.unread(unread);
  }
}

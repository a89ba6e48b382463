import { shownPosts } from "../pending-posts.js";
import { nameOf } from "../select.js";
import { element, icon } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";
import { entryItems } from "./entry.js";
import { keyed } from "./keyed.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../../interact/types.js").PendingPost} PendingPost */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("./entry.js").Shown} Shown */

/** Pixels from the end within which the reader counts as following the conversation. */
const NEAR_END = 80;
/** The most entries on the page; older ones wait behind a button. */
const WINDOW = 200;

/**
 * The conversation. It scrolls with new entries while its end is visible, and otherwise stays where one reads.
 */
export class Timeline {
  #following = true;
  #window = WINDOW;
  #height = 0;
  #length = 0;
  #pendingPosts = 0;
  /** Is given a refused post to work on once more. @type {((post: PendingPost) => void) | null} */
  edit = null;

  /**
   * @param {I18n} i18n
   * @param {Classroom} classroom
   * @param {object} how
   * @param {string | null} [how.me] the user who is called "You"; null where a whole class looks
   * @param {((entry: Shown) => void) | null} [how.hide] hides an entry, or shows it again
   */
  constructor(i18n, classroom, { me = classroom.me, hide = null } = {}) {
    this.classroom = classroom;
    const items = entryItems(i18n, me, hide);
    const entries = element("ol", {});
    const posts = element("ol", {});
    this.showEntries = keyed(entries, {
      key: nameOf,
      make: (/** @type {Shown} */ entry) => items.entry(entry),
    });
    this.showPosts = keyed(posts, {
      key: (/** @type {PendingPost} */ { id, state }) => `${id} ${state === "refused"}`,
      make: (post) =>
        items.pendingPost(post, { edit: this.edit, forget: () => classroom.forget(post) }),
    });
    this.log = element(
      "div",
      { role: "log", "aria-label": i18n.say("talk.title"), "aria-busy": "true" },
      entries,
    );
    this.empty = element("p", { class: "empty" }, i18n.say("loading"));
    this.nothing = i18n.say("talk.empty");
    this.earlier = element(
      "button",
      { type: "button", hidden: true, click: () => this.#showEarlier() },
      i18n.say("talk.earlier"),
    );
    this.newest = element(
      "button",
      { type: "button", class: "newest", hidden: true, click: () => this.toEnd() },
      icon("arrow-down"),
      i18n.say("talk.newest"),
    );
    this.scroller = element(
      "div",
      { class: "scroller", tabindex: "0", scroll: () => this.#scrolled() },
      this.earlier,
      this.empty,
      this.log,
      posts,
    );
    new ResizeObserver(() => this.#resized()).observe(this.scroller);
  }

  /** @param {readonly Shown[]} entries */
  update(entries) {
    const { classroom, log, scroller } = this;
    const posts = shownPosts(classroom.pendingPosts);
    // Entries that arrive while somebody reads further up must not push older ones off the page.
    if (!this.#following && entries.length > this.#length) {
      this.#window += entries.length - this.#length;
    }
    const isNews = entries.length > this.#length;
    const isMine = posts.length > this.#pendingPosts;
    this.#length = entries.length;
    this.#pendingPosts = posts.length;
    const top = scroller.scrollTop;
    this.showEntries(entries.slice(-this.#window));
    this.showPosts(posts);
    this.earlier.hidden = entries.length <= this.#window && !classroom.hasEarlier;
    this.empty.hidden = classroom.isLoaded && entries.length + posts.length > 0;
    if (classroom.isLoaded) this.empty.textContent = this.nothing;
    log.setAttribute("aria-busy", `${!classroom.isLoaded}`);
    if (this.#following || isMine) this.toEnd();
    else {
      scroller.scrollTop = top;
      if (isNews) this.newest.hidden = false;
    }
  }

  toEnd() {
    this.#following = true;
    this.#window = WINDOW;
    this.newest.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  async #showEarlier() {
    const { scroller, classroom, earlier } = this;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    switchOff(earlier, true);
    this.#following = false;
    try {
      if (this.#length <= this.#window) await classroom.readEarlier();
    } finally {
      switchOff(earlier, false);
    }
    this.#window += WINDOW;
    classroom.dispatchEvent(new Event("change"));
    // Shown with the next frame; then the text that one reads is where it was.
    requestAnimationFrame(() => (scroller.scrollTop = scroller.scrollHeight - fromEnd));
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#following) this.newest.hidden = true;
  }

  /** When a keyboard or a poll takes space, keep the lower edge in place. */
  #resized() {
    const { scroller } = this;
    const height = scroller.clientHeight;
    if (height === 0) return;
    if (this.#following) this.toEnd();
    else if (this.#height > 0) scroller.scrollTop += this.#height - height;
    this.#height = height;
  }
}


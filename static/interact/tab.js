import { uuid } from "./identifier.js";

/**
 * This page among the user's other pages. As long as it lives it holds a lock of its own, so that another
 * page can tell whether its unsent posts were left behind.
 */
export class Tab {
  id = uuid();

  /** @param {LockManager | null} locks null where there are none: then all other pages count as gone */
  constructor(locks) {
    this.locks = locks;
  }

  /** Resolves when others can see that this page lives. @param {AbortSignal} signal ends it */
  live(signal) {
    const { locks } = this;
    if (locks === null) return Promise.resolve();
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const held = () => {
          resolve();
          return new Promise((end) => signal.addEventListener("abort", end, { once: true }));
        };
        locks.request(name(this.id), held).catch(() => {
          // A sandboxed frame has the API, but may not use it (Web Locks, "request").
          this.locks = null;
          resolve();
        });
      })
    );
  }

  /**
   * Take over a page's posts, unless it lives or another page is taking over right now.
   *
   * @param {string} id of another page
   * @param {() => void} takeOver
   */
  async ifGone(id, takeOver) {
    if (this.locks === null) takeOver();
    else {
      const ask = this.locks.request(name(id), { ifAvailable: true }, (lock) => lock && takeOver());
      // A page that is being left gets no locks any more: the next page takes over.
      await ask.catch(() => {});
    }
  }
}

/** @param {string} id */
function name(id) {
  return `interact.page.${id}`;
}

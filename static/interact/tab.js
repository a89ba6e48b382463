import { uuid } from "./identifier.js";

/**
 * This page among the user's other ones. As long as it lives it holds a lock of its own, so that another
 * page can tell whether what it had to send was left behind.
 */
export class Tab {
  id = uuid();

  /** @param {LockManager | null} locks null where there are none: then everybody counts as gone */
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
   * Take over, unless the page lives or somebody else is taking over right now.
   *
   * @param {string} id of another page
   * @param {() => void} takeOver
   */
  async ifGone(id, takeOver) {
    if (this.locks === null) takeOver();
    else {
      const ask = this.locks.request(name(id), { ifAvailable: true }, (lock) => lock && takeOver());
      // A page that is being left gets no locks any more: then it is for the next one.
      await ask.catch(() => {});
    }
  }
}

/** @param {string} id */
function name(id) {
  return `interact.page.${id}`;
}

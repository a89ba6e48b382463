/**
 * A promise with its resolvers. (`Promise.withResolvers` is missing on phones that we support.)
 *
 * @template [T=void]
 */
export class Latch {
  /** @type {(value: T) => void} */
  open = () => {};
  /** @type {(reason: unknown) => void} */
  fail = () => {};

  constructor() {
    /** @type {Promise<T>} */
    this.opened = new Promise((resolve, reject) => {
      this.open = resolve;
      this.fail = reject;
    });
    // A rejection concerns those who wait, if there are any.
    this.opened.catch(() => {});
  }
}

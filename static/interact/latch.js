/**
 * A promise and what settles it. (`Promise.withResolvers` is too new for the phones that we know.)
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
    // That it fails is for those who wait, if anybody does.
    this.opened.catch(() => {});
  }
}

/** A promise and what settles it, once. (`Promise.withResolvers` is too new for the phones we know.) */
export class Latch {
  /** @type {() => void} */
  open = () => {};
  /** @type {(reason: unknown) => void} */
  fail = () => {};

  constructor() {
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve, reject) => {
      this.open = resolve;
      this.fail = reject;
    });
  }
}

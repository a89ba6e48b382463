/** A page's subscription, until it calls {@link Subscription.close}. */
export class Subscription {
  #ending;

  /** @param {Promise<void>} ready @param {AbortController} ending */
  constructor(ready, ending) {
    /**
     * Resolves when everything up to now was handed over and everything later will arrive; rejects with a
     * {@link Problem} if the gateway refuses.
     */
    this.ready = ready;
    this.#ending = ending;
  }

  close() {
    this.#ending.abort();
  }
}

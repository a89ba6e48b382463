/** A STOMP client of one connection; the test plays the gateway. */
export class StompClient {
  subscriptions = [];
  unsubscribed = [];
  sent = [];
  left = false;
  #receipts = new Map();

  constructor(config) {
    this.config = config;
  }

  activate() {}

  async deactivate() {
    this.left = true;
    this.close(1000);
  }

  forceDisconnect() {
    this.close(4001, false);
  }

  watchForReceipt(id, received) {
    this.#receipts.set(id, received);
  }

  subscribe(destination, received, headers) {
    this.subscriptions.push({ destination, received, headers });
  }

  unsubscribe(id) {
    this.unsubscribed.push(id);
  }

  publish(frame) {
    this.sent.push(frame);
  }

  /** Answer the pings. */
  pong() {
    for (const { headers } of this.sent.filter(({ destination }) => destination === "/gateway/ping")) {
      this.#receipts.get(headers.receipt)?.();
    }
  }

  connected() {
    this.config.onConnect();
  }

  /** Send CONNECTED and every RECEIPT. */
  open() {
    this.connected();
    this.receiveAll();
  }

  /** Send every RECEIPT that is due. */
  receiveAll() {
    for (const [id, received] of [...this.#receipts]) {
      this.#receipts.delete(id);
      received();
    }
  }

  receipt(id) {
    this.#receipts.get(this.#of(id).headers.receipt)();
  }

  /** Send a MESSAGE, with the number of its body unless `headers` gives another. */
  message(id, body, ack = () => {}, headers = numbered(body)) {
    this.#of(id).received({ body, headers, ack });
  }

  heartBeat() {
    this.config.onHeartbeatReceived();
  }

  refuse(id, message) {
    this.error({ message, "receipt-id": this.#of(id).headers.receipt }, "");
  }

  error(headers, body) {
    this.config.onStompError({ headers, body });
  }

  close(code, wasClean = true) {
    this.config.onWebSocketClose({ code, wasClean });
  }

  #of(id) {
    return this.subscriptions.find(({ headers }) => headers.id === id);
  }
}

function numbered(body) {
  const [, seq] = /"seq":(\d+)/.exec(body) ?? [];
  return seq === undefined ? {} : { seq };
}

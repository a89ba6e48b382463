/** The two libraries with the interface of stompjs 2: `over` an open WebSocket, callbacks. */
import { serve, socket } from "./driver.js";

/** `send` differs between them: by the order of its arguments. */
export function serveOver(over, protocols, send) {
  serve(({ url, headers, heart_beat: beat }, teller) => {
    const messages = [];
    const made = socket(url, protocols, teller);
    const client = over(made);
    client.debug = () => {};
    if (beat) {
      client.heartbeat = { outgoing: beat, incoming: beat };
    }
    const heard = (message) => {
      messages.push(message);
      teller.frame(message);
    };
    client.onreceipt = (frame) => teller.frame(frame);
    client.onreceive = heard;
    client.connect(
      headers,
      (frame) => teller.frame(frame),
      // Also called at the end, with a text or an event.
      (error) => error.command && teller.frame(error),
    );
    return {
      subscribe: (given) => client.subscribe(given.destination, heard, given.headers),
      unsubscribe: (given) => client.unsubscribe(given.id),
      send: (given) => send(client, given),
      ack: (given) => messages.at(given.index).ack(given.headers),
      nack: (given) => messages.at(given.index).nack(given.headers),
      begin: (given) => client.begin(given.transaction),
      commit: (given) => client.commit(given.transaction),
      abort: (given) => client.abort(given.transaction),
      // Both close the WebSocket at once, whether there is a receipt or not.
      leave: () => client.disconnect(() => {}, { receipt: "bye" }),
      drop: () => made.terminate(),
    };
  });
}

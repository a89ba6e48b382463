/** @stomp/stompjs, as its documentation uses it. */
import { Client, Versions } from "@stomp/stompjs";
import { serve, socket } from "./driver.js";

serve(({ url, headers, heart_beat: beat }, teller) => {
  const messages = [];
  const client = new Client({
    webSocketFactory: () => socket(url, Versions.default.protocolVersions(), teller),
    connectHeaders: headers,
    reconnectDelay: 0,
    ...(beat && { heartbeatOutgoing: beat, heartbeatIncoming: beat }),
    onConnect: (frame) => teller.frame(frame),
    onStompError: (frame) => teller.frame(frame),
    onUnhandledReceipt: (frame) => teller.frame(frame),
    onUnhandledMessage: (message) => heard(message),
  });
  const heard = (message) => {
    messages.push(message);
    teller.frame(message);
  };
  client.activate();
  return {
    subscribe: (given) => client.subscribe(given.destination, heard, given.headers),
    unsubscribe: (given) => client.unsubscribe(given.id),
    send: (given) => client.publish(given),
    ack: (given) => messages.at(given.index).ack(given.headers),
    nack: (given) => messages.at(given.index).nack(given.headers),
    begin: (given) => client.begin(given.transaction),
    commit: (given) => client.commit(given.transaction),
    abort: (given) => client.abort(given.transaction),
    leave: () => void client.deactivate(),
    drop: () => void client.deactivate({ force: true }),
  };
});

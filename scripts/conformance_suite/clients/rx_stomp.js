/** @stomp/rx-stomp, as its documentation uses it. */
import { RxStomp } from "@stomp/rx-stomp";
import { Versions } from "@stomp/stompjs";
import { serve, socket } from "./driver.js";

serve(({ url, headers, heart_beat: beat }, teller) => {
  const messages = [];
  const watched = new Map();
  const client = new RxStomp();
  client.configure({
    webSocketFactory: () => socket(url, Versions.default.protocolVersions(), teller),
    connectHeaders: headers,
    reconnectDelay: 0,
    ...(beat && { heartbeatOutgoing: beat, heartbeatIncoming: beat }),
  });
  const heard = (message) => {
    messages.push(message);
    teller.frame(message);
  };
  client.serverHeaders$.subscribe((given) => teller.tell("CONNECTED", Object.entries(given)));
  client.stompErrors$.subscribe((frame) => teller.frame(frame));
  client.unhandledReceipts$.subscribe((frame) => teller.frame(frame));
  client.unhandledMessage$.subscribe(heard);
  client.activate();
  return {
    subscribe: ({ destination, headers: own }) => {
      watched.set(own.id, client.watch(destination, own).subscribe(heard));
    },
    unsubscribe: ({ id }) => watched.get(id).unsubscribe(),
    send: (given) => client.publish({ ...given, retryIfDisconnected: false }),
    ack: (given) => messages.at(given.index).ack(given.headers),
    nack: (given) => messages.at(given.index).nack(given.headers),
    begin: (given) => client.stompClient.begin(given.transaction),
    commit: (given) => client.stompClient.commit(given.transaction),
    abort: (given) => client.stompClient.abort(given.transaction),
    leave: () => void client.deactivate(),
    drop: () => void client.deactivate({ force: true }),
  };
});

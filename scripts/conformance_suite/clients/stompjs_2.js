/** stompjs 2.3.3, the library that browsers had for years ("stomp-websocket"). */
import { createRequire } from "node:module";
import { serveOver } from "./over_socket.js";

// Its file for browsers; the package's entry wants a WebSocket library of its own.
const { Stomp } = createRequire(import.meta.url)("stompjs/lib/stomp.js");
// In browsers it takes those of `window`.
Stomp.setInterval = (milliseconds, call) => setInterval(call, milliseconds);
Stomp.clearInterval = clearInterval;

serveOver(
  (socket) => Stomp.over(socket),
  ["v10.stomp", "v11.stomp"],
  (client, { destination, headers, body }) => client.send(destination, headers, body),
);

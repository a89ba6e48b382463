/** webstomp-client, as its documentation uses it. */
import webstomp from "webstomp-client";
import { serveOver } from "./over_socket.js";

serveOver(
  (socket) => webstomp.over(socket, { debug: false }),
  webstomp.VERSIONS.supportedProtocols(),
  (client, { destination, headers, body }) => client.send(destination, body, headers),
);

/**
 * The part that the drivers of all JavaScript libraries share.
 *
 * A driver reads commands, one JSON object a line, and writes what its library hears in the same
 * way: `client` is the number of a connection, `verb` what the application does there. The verbs
 * and their arguments are those of `../applications.py`; the events those of `../client_process.py`.
 */
import { createInterface } from "node:readline";
import WebSocket from "ws";

// What a library throws at what has come ends no page either; the application hears nothing then.
process.on("uncaughtException", (error) => console.error(error));

/** Command lines of a library's connection. Each verb is a method of the object that `open` gives. */
export function serve(open) {
  const connections = new Map();
  createInterface({ input: process.stdin }).on("line", (line) => {
    const { client, verb, ...given } = JSON.parse(line);
    const teller = new Teller(client);
    try {
      if (verb === "open") {
        connections.set(client, open(given, teller));
      } else {
        connections.get(client)[verb](given);
      }
    } catch (error) {
      // Libraries throw at whoever sends on a closed connection: an application sees that.
      teller.tell("RAISED", [], String(error.message));
    }
  }).on("close", () => process.exit());
}

/** What one connection hears, told to the process that asked. */
class Teller {
  constructor(client) {
    this.client = client;
  }

  tell(command, headers = [], body = "") {
    process.stdout.write(`${JSON.stringify({ client: this.client, command, headers, body })}\n`);
  }

  /** A frame as the library shows it to the application. */
  frame({ command, headers, body }) {
    this.tell(command, Object.entries(headers), body);
  }
}

/** A browser's WebSocket, whose end and heart-beats are told. */
export function socket(url, protocols, teller) {
  const made = new WebSocket(url, protocols);
  made.on("message", (data) => {
    // The library may have asked for binary messages as ArrayBuffer.
    if (Buffer.from(data).toString() === "\n") {
      teller.tell("HEARTBEAT");
    }
  });
  made.on("close", (code) => teller.tell("CLOSED", [["code", String(code)]]));
  // A refused handshake; "close" follows.
  made.on("error", () => {});
  return made;
}

import { Connection } from "../../../static/interact/connection.js";
import { problem } from "./endpoint.js";
import { Locks } from "./locks.js";
import { MemoryStorage } from "./memory-storage.js";
import { Patience, turn } from "./patience.js";
import { StateKeeper } from "./state-keeper.js";
import { StompClient } from "./stomp-client.js";

const BASE = "https://gateway.example";
/** A stream of server-sent events; the test plays the gateway. */
class EventStream {
  isOpen = true;

  constructor(path, { headers, signal }) {
    this.path = path;
    this.headers = headers;
    const body = new ReadableStream({
      start: (writer) => (this.writer = writer),
      cancel: () => (this.isOpen = false),
    });
    signal.addEventListener("abort", () => (this.isOpen = false));
    this.response = new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }

  async write(text) {
    this.writer.enqueue(new TextEncoder().encode(text));
    await turn();
  }

  async say(message) {
    const id = message.seq === null ? "" : `id: ${message.seq}\n`;
    await this.write(`${id}data: ${JSON.stringify(message)}\n\n`);
  }

  async joined(seq = 0) {
    await this.write(`event: joined\nid: ${seq}\ndata: {"seq":${seq}}\n\n`);
  }

  async end(code, retry = null) {
    await this.write(`event: end\ndata: ${JSON.stringify({ code, reason: `about ${code}`, retry })}\n\n`);
    await turn();
  }

  async breakOff() {
    this.writer.close();
    await turn();
  }
}

const TOPIC = "/topic/acdm.mo.interact.public.42";

/** A gateway with room 42, as a page sees it: its contents, and all requests. */
export class Gateway {
  role = "participant";
  roles = [];
  /** @type {object[]} the public stream */
  kept = [];
  /** What the user may see of the private stream. @type {object[]} */
  aside = [];
  keepers = { public: new StateKeeper(), private: new StateKeeper() };
  present = [];
  asked = [];
  /** @type {(() => Response | Promise<Response>)[]} instead of the usual answers to posts */
  answers = [];
  connections = [];
  /** Streams of server-sent events that are open, or have been. @type {EventStream[]} */
  streams = [];
  patience = new Patience();
  /** Milliseconds; `wall`: by how much the device's clock is fast. */
  clock = { now: 0, wall: 0 };
  reported = [];
  /** The storage of one browser, shared by all its pages. */
  storage = new MemoryStorage();
  locks = new Locks();
  /** The user who is logged in in this browser; null: nobody. */
  user = "paul";
  /** What is answered instead of the room, to who asks for it. @type {(() => Response) | null} */
  refusal = null;
  closedAt = null;
  /** The room's identity; undefined: an older gateway's, which gives none. @type {string | undefined} */
  identity = undefined;
  /** Behave like a gateway of an older version. */
  ignoresClaims = false;
  #woken = new Set();
  #pulsed = new Set();
  #pages = new Set();

  connect(options = { token: "a.b.c" }) {
    return new Connection(
      { url: `${BASE}/`, ...options },
      {
        fetch: (url, init) =>
          url.endsWith("/slow") ? this.slow(url, init) : this.#answer(url.replace(BASE, ""), init),
        client: (config) => {
          const stomp = new StompClient(config);
          this.connections.push(stomp);
          return stomp;
        },
        storage: this.storage,
        locks: this.locks,
        now: () => this.clock.now + this.clock.wall,
        elapsed: () => this.clock.now,
        random: () => 0.5,
        wait: this.patience.wait,
        onWake: (listener, signal) => {
          this.#woken.add(listener);
          signal.addEventListener("abort", () => this.#woken.delete(listener));
        },
        onPulse: (listener, signal) => {
          this.#pulsed.add(listener);
          signal.addEventListener("abort", () => this.#pulsed.delete(listener));
        },
        broadcast: (_, listener, signal) => this.broadcast(listener, signal),
        report: (error) => this.reported.push(error),
      },
    );
  }

  /** The messages among the pages of one browser. */
  broadcast(listener, signal = new AbortController().signal) {
    this.#pages.add(listener);
    signal.addEventListener("abort", () => this.#pages.delete(listener));
    return (data) => {
      for (const other of this.#pages) if (other !== listener) other(data);
    };
  }

  get stomp() {
    return this.connections.at(-1);
  }

  /** The network is back, or the page becomes visible. */
  async wake() {
    await turn();
    for (const listener of [...this.#woken]) listener();
    await turn();
  }

  /** Let time pass, with a pulse at its end. */
  async pass(milliseconds, isSeen = true) {
    this.clock.now += milliseconds;
    for (const listener of [...this.#pulsed]) listener(isSeen);
    await turn();
  }

  /** Let a connection, or the next one, succeed. */
  async open() {
    await turn();
    this.stomp.connected();
    await turn();
    this.stomp.receiveAll();
    await turn();
  }

  /** Deliver a message on the room's topic. */
  say(message) {
    if (message.seq !== null) this.kept.push(message);
    this.stomp.message("acdm.mo.interact.public.42", JSON.stringify(message));
  }

  get stream() {
    return this.streams.at(-1);
  }

  /** Let no WebSocket open, until the page does without. */
  async block() {
    for (let n = this.connections.length; this.streams.length === 0 && n < 8; n += 1) {
      await turn();
      this.stomp.close(1006, false);
      await turn();
      await this.patience.passOne("wait", (milliseconds) => milliseconds < 35_000 && milliseconds !== 500);
      await turn();
    }
  }

  asks(what) {
    return this.asked.filter((asked) => asked.startsWith(what));
  }

  async #answer(path, { method = "GET", body, headers, signal }) {
    this.asked.push(`${method} ${path}`);
    await null;
    const claimed = headers["Interact-User"];
    if (this.user === null) return problem(401, "not_authenticated")();
    if (!this.ignoresClaims && claimed !== undefined && decodeURIComponent(claimed) !== this.user) {
      return problem(401, "user_changed")();
    }
    if (method === "DELETE") {
      this.user = null;
      return new Response(null, { status: 204 });
    }
    const refusal = path.startsWith("/api/rooms/42") && this.refusal?.(path);
    if (refusal) return refusal;
    if (path.includes("/events?")) {
      const stream = new EventStream(path, { headers, signal });
      this.streams.push(stream);
      return stream.response;
    }
    const meant = new URLSearchParams(path.split("?")[1]).get("identity");
    if (meant !== null && meant !== this.identity) return problem(410, "room_replaced")();
    if (method === "POST" && /\/messages(\?|$)/.test(path)) {
      const answer = this.answers.shift();
      if (answer) return answer(body);
      const { id } = JSON.parse(body);
      return Response.json({ id, seq: this.kept.length + 1, sent_at: "", published: true });
    }
    if (!/^\/api\/(session|rooms\/42)/.test(path)) return new Response("", { status: 404 });
    return Response.json(this.#resource(path));
  }

  #resource(path) {
    if (path === "/api/session") return { user: this.user, roles: this.roles, expires_at: "2030-01-01" };
    if (/^\/api\/rooms\/42\d*$/.test(path)) {
      const host = this.role === "host";
      const queue = "/queue/acdm.mo.interact.private.42";
      const destinations = {
        public: TOPIC.replace(/42$/, path.split("/").at(-1)),
        ...(host ? { queue, private: TOPIC.replace("public", "private") } : {}),
      };
      return { destinations, identity: this.identity, role: this.role, closed_at: this.closedAt };
    }
    if (path.endsWith("/presence")) return { present: this.present };
    if (path.includes("/state?")) return this.#state(new URLSearchParams(path.split("?")[1]));
    const query = new URLSearchParams(path.split("?")[1]);
    const head = this.kept.at(-1)?.seq ?? 0;
    const after = Number(query.get("after"));
    return { messages: this.kept.filter(({ seq }) => seq > after), head, complete: true };
  }
  #state(query) {
    const audience = query.get("audience");
    const keeper = this.keepers[audience];
    keeper.history = audience === "public" ? this.kept : this.aside;
    const after = query.has("after") ? Number(query.get("after")) : undefined;
    const limit = query.has("limit") ? Number(query.get("limit")) : undefined;
    return keeper.answer({ after, whole: query.get("whole") === "true", limit, veiled: this.role !== "host" && !this.roles.includes("admin") });
  }
}

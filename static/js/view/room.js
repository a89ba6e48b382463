import { Live } from "../live.js";
import { guaranteed } from "../message.js";
import { untilDone } from "../retry.js";
import { nap } from "../wait.js";
import { conversation } from "./conversation.js";
import { element } from "./element.js";
import { membersDialog } from "./members.js";
import { stateLine } from "./state-line.js";
import { PanelSwitch } from "./switch.js";

/** @typedef {import("../api.js").Audience} Audience */
/** @typedef {import("../api.js").Room} Room */
/** @typedef {import("../live.js").State} State */
/** @typedef {import("../live.js").Subscription} Subscription */
/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../stream.js").Stream} Stream */

/** Messages of the private queue that may be on their way to one page. */
const PREFETCH = "50";
const AUDIENCES = /** @type {Audience[]} */ (["public", "private"]);

/**
 * A room: its public and its private stream, kept live.
 *
 * @param {Context} context
 * @param {number} number
 * @param {AbortSignal} signal ends it
 * @returns {HTMLElement}
 */
export function roomView(context, number, signal) {
  const { api, i18n } = context;
  const patience = context.patience(signal);
  const title = element("h1", {}, "…");
  const bar = element("header", { class: "bar" }, backLink(i18n.say("room.back")), title);
  const state = stateLine(i18n);
  const view = element("div", { class: "page room" }, bar, state.line);
  const run = (/** @type {Promise<unknown>} */ task) => context.run(task, signal, state.failed);

  const open = async () => {
    const room = await untilDone(() => api.room(number), patience, state.failed);
    title.textContent = room.title;
    document.title = `${room.title} · ${i18n.say("appName")}`;
    if (room.role === "host") {
      const members = membersDialog(context, number);
      const click = members.open;
      bar.append(element("button", { type: "button", click }, i18n.say("members.title")));
      view.append(members.dialog);
    }
    const conversations = AUDIENCES.map((audience) =>
      conversation(context, { room, audience, patience, run }),
    );
    const panels = conversations.map(({ panel }) => panel);
    const sections = panels.map(({ section }) => section);
    view.append(
      new PanelSwitch(i18n, panels).nav,
      element("main", { class: "panels" }, ...sections),
    );
    const streams = await Promise.all(conversations.map(({ opened }) => opened));
    if (room.closed_at === null) {
      await follow(room, streams);
    } else {
      for (const panel of panels) panel.close();
      state.closed();
    }
  };

  /** @param {Room} room @param {Stream[]} streams in the order of AUDIENCES */
  const follow = (room, streams) => {
    const live = new Live({
      client: context.stompClient,
      url: `${location.origin.replace(/^http/, "ws")}/ws`,
      subscriptions: subscriptions(room, (text) => {
        const message = guaranteed(text);
        if (message) streams[AUDIENCES.indexOf(message.audience)]?.receive(message);
      }),
      changed: (now) => {
        state.live(now);
        if (now.name === "connected") for (const stream of streams) run(stream.catchUp());
      },
      session: () => api.session(),
      nap,
      patience,
    });
    return live.run();
  };

  run(open());
  return view;
}

/** @param {string} label */
function backLink(label) {
  return element("a", { href: "#/", class: "back", "aria-label": label, title: label }, "‹");
}

/**
 * The queue serves one page at a time and keeps what no host has seen; the private topic shows it to
 * all hosts at once.
 *
 * @param {Room} room
 * @param {(body: string) => void} received
 * @returns {Subscription[]}
 */
function subscriptions({ destinations }, received) {
  const { public: all, private: hosts, queue } = destinations;
  const wanted = [{ destination: all, headers: {}, received }];
  if (hosts) wanted.push({ destination: hosts, headers: {}, received });
  if (queue) {
    const headers = { ack: "client-individual", "prefetch-count": PREFETCH };
    wanted.push({ destination: queue, headers, received });
  }
  return wanted;
}

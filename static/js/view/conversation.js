import { openStream } from "../stream.js";
import { Panel } from "./panel.js";

/** @typedef {import("../api.js").Audience} Audience */
/** @typedef {import("../api.js").Room} Room */
/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../retry.js").Patience} Patience */

/** Messages to begin with, and at each look further back. */
const RECENT = 200;

/**
 * One stream of a room and its panel. `opened` resolves when what was said so far is shown.
 *
 * @param {Context} context
 * @param {object} parts
 * @param {Room} parts.room
 * @param {Audience} parts.audience
 * @param {Patience} parts.patience
 * @param {(task: Promise<unknown>) => void} parts.run
 */
export function conversation({ api, i18n, me, outgoing }, { room, audience, patience, run }) {
  const toHosts = audience === "private";
  const mail = outgoing(room.id, audience);
  const panel = new Panel({
    i18n,
    me: me.user,
    words: toHosts && room.role === "host" ? "hosts" : audience,
    outgoing: mail,
  });
  const open = async () => {
    // A participant gets only the own questions, however far apart they are.
    const recent = toHosts && room.role === "participant" ? Infinity : RECENT;
    const stream = await openStream(recent, {
      history: (query) => api.messages(room.id, { audience, ...query }),
      shown: (message, index) => panel.insert(message, index),
      run,
      patience,
    });
    mail.sent = ({ body }, { id, seq, sent_at }) =>
      stream.receive({
        ...{ id, seq, sent_at, body, audience },
        ...{ room: room.id, sender: me.user, type: "message" },
      });
    const readEarlier = async () => {
      await stream.readEarlier(RECENT);
      filled();
    };
    const filled = () => panel.filled(stream.timeline.start > 0 ? readEarlier : null);
    await stream.catchUp();
    filled();
    return stream;
  };
  return { panel, opened: open() };
}

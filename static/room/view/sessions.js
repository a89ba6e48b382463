import { Problem } from "../../interact/index.js";
import { device } from "../device.js";
import { isolated } from "../../shared/bidi.js";
import { bdi, element, iconButton } from "../../shared/element.js";
import { keyed } from "./keyed.js";

/** @typedef {import("../main.js").Context} Context */

/**
 * @typedef {object} OwnSession
 * @property {string} id
 * @property {string} last_seen
 * @property {string} address
 * @property {string} device
 * @property {boolean} current
 */

/** A dialog in which users see where they are logged in, and end what they do not use. @param {Context} context */
export function sessionsDialog({ connection, i18n }) {
  const list = element("ul", { class: "sessions" });
  const problem = element("p", { role: "alert", class: "problem" });
  const all = element(
    "button",
    { type: "button", hidden: true, click: () => end("/api/sessions") },
    i18n.say("sessions.endOthers"),
  );
  const show = async () => {
    const { sessions } = await connection.call("GET", "/api/sessions");
    fill(sessions);
    all.hidden = sessions.length < 2;
  };
  /** @param {Promise<void>} work */
  const tell = async (work) => {
    problem.textContent = "";
    try {
      await work;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    }
  };
  /** @param {string} path of the sessions to end */
  const end = (path) =>
    tell(
      (async () => {
        try {
          await connection.call("DELETE", path);
        } catch (error) {
          // It has ended meanwhile, as was wished.
          if (!(error instanceof Problem && error.code === "unknown_session")) throw error;
        }
        await show();
      })(),
    );
  const item = (/** @type {OwnSession} */ session) => {
    const name = device(session.device) || i18n.say("sessions.unknown");
    const seen = i18n.time(new Date(session.last_seen), new Date());
    const words = element(
      "div",
      { class: "names" },
      element("strong", {}, bdi(name)),
      element("p", { class: "soft" }, `${session.address} · ${i18n.say("sessions.seen", { time: seen })}`),
    );
    const act = session.current
      ? element("span", { class: "mark" }, i18n.say("sessions.current"))
      : element(
          "button",
          {
            type: "button",
            "aria-label": `${i18n.say("sessions.end")}: ${isolated(name)}, ${session.address}`,
            click: () => end(`/api/sessions/${encodeURIComponent(session.id)}`),
          },
          i18n.say("sessions.end"),
        );
    return element("li", { class: "row" }, words, act);
  };
  const fill = keyed(list, { key: (session) => JSON.stringify(session), make: item });
  const heading = element("h2", { id: "sessions-title" }, i18n.say("sessions.title"));
  const close = iconButton("x", i18n.say("close"), { click: () => dialog.close() });
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": heading.id },
    element("header", {}, heading, close),
    list,
    problem,
    all,
  );
  const open = () => {
    dialog.showModal();
    void tell(show());
  };
  return { dialog, open };
}

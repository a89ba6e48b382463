import { Problem } from "../../interact/index.js";
import { Classroom, isSentAway } from "../classroom.js";
import { projectorLink, roomLink } from "../route.js";
import { isolated } from "../../shared/bidi.js";
import { element, icon, iconButton } from "../../shared/element.js";
import { actButton, actLink } from "./act-button.js";
import { hostView } from "./host.js";
import { statusSign } from "./status-sign.js";
import { classCode, doorBell } from "./class-code.js";
import { membersDialog } from "./members.js";
import { participantView } from "./participant.js";
import { projectorView } from "./projector.js";
import { roomDialog } from "./room-dialog.js";
import { shareDialog } from "./share.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../../interact/types.js").RoomInfo} RoomInfo */

/** Milliseconds, about, between two looks at a closed room. */
const CLOSED_LOOK = 15_000;

/**
 * A room's view for a participant, a host or the whole class.
 *
 * @param {Context} context
 * @param {number} number
 * @param {{projected: boolean, signal: AbortSignal}} how the signal ends it
 * @returns {HTMLElement}
 */
export function roomView(context, number, { projected, signal }) {
  const { i18n, me, drafts } = context;
  const page = element("div", { class: "room" });
  const title = element("h1", {}, "…");
  const present = element("p", { class: "soft" });
  const names = element("div", { class: "names" }, title, present);
  const back = element(
    "a",
    {
      ...{ href: "#/", class: "button quiet square back" },
      ...{ "aria-label": i18n.say("room.back"), title: i18n.say("room.back") },
    },
    icon("caret-left"),
  );
  const leave = () => void context.logOut().catch(fail);
  const way = me.guest_of ? iconButton("sign-out", i18n.say("join.leave"), { click: leave }) : back;
  const bar = element("header", { class: "bar" }, way, names);
  const sign = statusSign(i18n);
  const notice = element("p", { class: "notice", role: "alert" });
  page.append(bar, sign.root, notice);

  /** Whether the user is no longer in the room. */
  let isOut = false;

  const open = async () => {
    const outside = waitingPanel();
    const info = await untilMember(context, number, signal, () => outside.show());
    outside.root.remove();
    const { connection } = context;
    entitle(info.title);
    const classroom = new Classroom({
      ...{ connection, info, me: me.user, signal },
      untilDone: (task) => context.untilDone(task, signal),
    });
    const address = new URL(roomLink(number), location.href).href;
    const view = choose(classroom, address);
    let unkeptAt = 0;
    classroom.addEventListener("unkept", () => {
      notice.textContent = i18n.say("room.unkept");
      unkeptAt = classroom.pendingPosts.length;
    });
    const update = () => {
      present.textContent = classroom.present.length
        ? i18n.say("room.present", { count: classroom.present.length })
        : "";
      sign.update(classroom.status);
      if (classroom.pendingPosts.length < unkeptAt) notice.textContent = "";
      const { status } = classroom;
      const isAway = isSentAway(status);
      if (isAway && !isOut) context.run(comeBack(), signal, fail);
      isOut = isAway;
      // Nothing that one does is sent then, so there is nothing to do it with.
      page.classList.toggle("away", status.name === "refused");
      view.update();
    };
    let isDue = false;
    classroom.addEventListener("change", () => {
      if (isDue) return;
      isDue = true;
      requestAnimationFrame(() => {
        isDue = false;
        if (!signal.aborted) update();
      });
    });
    classroom.addEventListener("moved", context.reopen, { signal });
    classroom.addEventListener("renamed", () => entitle(classroom.info.title), { signal });
    // The page holds another room's data.
    classroom.addEventListener("replaced", () => location.reload(), { signal });
    addEventListener("beforeunload", (event) => classroom.isSafe || event.preventDefault(), { signal });
    update();
    if (classroom.isReadOnly) context.run(untilOpenAgain(), signal, fail);
    await classroom.open({ asDesk: classroom.isHost && !projected });
  };

  /** A closed room tells nothing: whoever looks at its page asks now and then whether a host has opened it again. */
  const untilOpenAgain = async () => {
    for (;;) {
      await context.nap(CLOSED_LOOK * (0.8 + 0.4 * Math.random()), signal);
      if (signal.aborted) return;
      if (document.hidden) continue;
      try {
        const { closed_at } = await context.room(number).info();
        if (closed_at === null) return context.reopen();
      } catch (problem) {
        // The next look shows more; what has ended for this user, the room itself tells.
        if (!(problem instanceof Problem)) throw problem;
      }
    }
  };

  /** @param {string} name */
  const entitle = (name) => {
    title.replaceChildren(element("bdi", {}, name));
    document.title = `${isolated(name)} · ${i18n.say("appName")}`;
  };

  /** Open the room again as soon as the user is a member, in any role: sooner than the library asks. */
  const comeBack = async () => {
    await context.nap(patience(0), signal);
    await untilMember(context, number, signal, () => {});
    if (isOut) context.reopen();
  };

  /** The view for a user who is not a member (yet). */
  const waitingPanel = () => {
    const root = element("main", { class: "start", tabindex: "0" });
    return {
      root,
      show() {
        if (root.isConnected) return;
        title.textContent = i18n.say("appName");
        root.replaceChildren(
          element("p", { role: "alert" }, i18n.say("room.noMember", { user: me.user })),
          element("p", {}, i18n.say("room.opensItself")),
        );
        page.append(root);
      },
    };
  };

  /** @param {Classroom} classroom @param {string} address */
  const choose = (classroom, address) => {
    if (!classroom.isHost) {
      const view = participantView(i18n, classroom, {
        talk: drafts.of(`${number}`),
        ballot: drafts.of(`${number}:ballot`),
      });
      page.append(view.main);
      return view;
    }
    const code = classCode(context, number, { isClosed: classroom.isReadOnly, signal });
    if (projected) {
      const view = projectorView(i18n, classroom, { address, code });
      page.classList.add("projector");
      bar.append(view.link);
      page.append(view.main);
      return view;
    }
    const view = hostView(i18n, classroom, {
      talk: drafts.of(`${number}`),
      poll: drafts.of(`${number}:poll`),
    });
    const share = shareDialog(context, address, code);
    if (!classroom.isReadOnly) bar.after(doorBell(context, number, code, signal));
    const members = membersDialog(context, number);
    const manage = roomDialog(context, classroom.info, entitle);
    const wall = { href: projectorLink(number), target: "_blank" };
    const tools = element(
      "div",
      { class: "tools" },
      actLink("projector-screen-chart", i18n.say("projector.open"), wall),
      actButton("qr-code", i18n.say("share.title"), { click: share.open }),
      actButton("users", i18n.say("members.title"), { click: members.open }),
      actButton("gear-six", i18n.say("room.manage"), { click: manage.open }),
    );
    bar.append(tools);
    page.append(view.nav, view.main, share.dialog, members.dialog, ...manage.dialogs);
    return view;
  };

  const fail = (/** @type {Problem} */ problem) => {
    title.textContent = i18n.say("appName");
    const said = element("p", { role: "alert" }, i18n.explain(problem));
    page.querySelector(":scope > main")?.remove();
    page.append(element("main", { class: "start" }, said));
  };
  context.run(open(), signal, fail);
  return page;
}

/**
 * The room, once the user is a member: a user who scans the code before being added waits.
 *
 * @param {Context} context
 * @param {number} number
 * @param {AbortSignal} signal
 * @param {() => void} waiting is called after each answer that says "not yet"
 * @returns {Promise<RoomInfo>} rejects with a {@link Problem} of another kind
 */
async function untilMember(context, number, signal, waiting) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await context.untilDone(() => context.room(number).info(), signal);
    } catch (problem) {
      if (!(problem instanceof Problem && problem.code === "access_refused")) throw problem;
      waiting();
      await context.nap(patience(attempt), signal);
    }
  }
}

/**
 * Milliseconds until the next try; random, because a class that waits for its teacher must not come
 * all at once.
 *
 * @param {number} attempt
 */
function patience(attempt) {
  return Math.min(2_500 + 50 * attempt, 10_000) * (0.8 + 0.4 * Math.random());
}

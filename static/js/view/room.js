import { Classroom } from "../room/classroom.js";
import { projectorLink, roomLink } from "../route.js";
import { element, icon, iconButton } from "./element.js";
import { hostView } from "./host.js";
import { lineSign } from "./line.js";
import { membersDialog } from "./members.js";
import { participantView } from "./participant.js";
import { projectorView } from "./projector.js";
import { shareDialog } from "./share.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../interact/types.js").RoomInfo} RoomInfo */

/**
 * A room, as its participant, its host, or the class sees it.
 *
 * @param {Context} context
 * @param {number} number
 * @param {{projected: boolean, signal: AbortSignal}} how the signal ends it
 * @returns {HTMLElement}
 */
export function roomView(context, number, { projected, signal }) {
  const { i18n, me } = context;
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
  const bar = element("header", { class: "bar" }, back, names);
  const line = lineSign(i18n);
  page.append(bar, line.root);

  const open = async () => {
    const info = await context.untilDone(() => context.room(number).info(), signal);
    const { connection } = context;
    title.textContent = info.title;
    document.title = `${info.title} · ${i18n.say("appName")}`;
    const classroom = new Classroom({
      ...{ connection, info, me: me.user, signal },
      untilDone: (task) => context.untilDone(task, signal),
    });
    const address = new URL(roomLink(number), location.href).href;
    const view = choose(classroom, address);
    const update = () => {
      present.textContent = classroom.present.length
        ? i18n.say("room.present", { count: classroom.present.length })
        : "";
      line.update(classroom.lineState);
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
    update();
    await classroom.open({ asDesk: classroom.isHost && !projected });
  };

  /** @param {Classroom} classroom @param {string} address */
  const choose = (classroom, address) => {
    if (!classroom.isHost) {
      const view = participantView(i18n, classroom);
      page.append(view.main);
      return view;
    }
    if (projected) {
      const view = projectorView(i18n, classroom, address);
      page.classList.add("projector");
      bar.append(element("p", { class: "soft address" }, address));
      page.append(view.main);
      return view;
    }
    const view = hostView(i18n, classroom);
    const share = shareDialog(i18n, address);
    const members = membersDialog(context, number);
    const label = i18n.say("projector.open");
    bar.append(
      element(
        "a",
        {
          ...{ href: projectorLink(number), target: "_blank", class: "button quiet square" },
          ...{ "aria-label": label, title: label },
        },
        icon("projector-screen-chart"),
      ),
      iconButton("qr-code", i18n.say("share.title"), { click: share.open }),
      iconButton("users", i18n.say("members.title"), { click: members.open }),
    );
    page.classList.add("hosting");
    page.append(view.nav, view.main, share.dialog, members.dialog);
    return view;
  };

  context.run(open(), signal, (problem) => {
    const isStranger = problem.code === "access_refused";
    const text = isStranger
      ? i18n.say("room.noMember", { user: me.user })
      : i18n.explain(problem);
    title.textContent = i18n.say("appName");
    page.append(element("main", { class: "start" }, element("p", { role: "alert" }, text)));
  });
  return page;
}

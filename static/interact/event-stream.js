/**
 * The events of a stream of server-sent events, put together from its text as it comes (HTML, "Parsing an event
 * stream"). Pure.
 */
export class EventStream {
  #rest = "";
  #event = fresh();

  /**
   * @param {string} text the next part of the stream, cut anywhere
   * @returns {{type: string, data: string, id: string | null}[]} the events that it completes; `id` is the event's
   *   own, null if it has none
   */
  read(text) {
    const whole = this.#rest + text;
    // A CR at the end may be the first half of a CR LF.
    const lines = whole.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    const events = [];
    for (const line of lines) {
      if (line !== "") this.#take(line);
      else {
        const { type, data, id } = this.#event;
        this.#event = fresh();
        if (data.length > 0) events.push({ type, data: data.join("\n"), id });
      }
    }
    return events;
  }

  /** @param {string} line */
  #take(line) {
    const [, field, value] = /** @type {RegExpExecArray} */ (/^([^:]*)(?:: ?(.*))?$/s.exec(line));
    if (field === "event") this.#event.type = value ?? "";
    else if (field === "data") this.#event.data.push(value ?? "");
    else if (field === "id") this.#event.id = value ?? "";
  }
}

/** @returns {{type: string, data: string[], id: string | null}} */
function fresh() {
  return { type: "message", data: [], id: null };
}

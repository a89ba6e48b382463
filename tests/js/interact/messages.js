/** A message as the gateway delivers it. */
export function message(seq, fields = {}) {
  return {
    id: `id-${seq}`,
    room: 42,
    audience: "public",
    seq,
    sender: "paul",
    sent_at: "2030-01-01T10:00:00.000000Z",
    type: "message",
    body: `text ${seq}`,
    ...fields,
  };
}

/** The sync of a stream that holds these messages. */
export function history(kept, { head = kept.at(-1)?.seq ?? 0, first = 1 } = {}) {
  return async ({ after, limit }) => {
    const later = kept.filter(({ seq }) => seq > after);
    const messages = later.slice(0, limit);
    const more = messages.length === limit && messages.at(-1).seq < head;
    const complete = after + 1 >= first;
    return { messages, head, complete, ...(more ? { next: messages.at(-1).seq } : {}) };
  };
}

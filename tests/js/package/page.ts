// A page's code as its author writes it; what is wrong must be found by the types.
import { connect, Problem, type KeptChange, type Message, type State } from "interact-gateway";

const connection = connect({ url: "https://gateway.example", token: async () => "a.b.c" });
connection.addEventListener("state", () => {
  const { name, via }: State = connection.state;
  console.log(name === "connected", via === "events");
});
const room = connection.room(42);
room.subscribe(({ seq, body }: Message) => console.log(seq, body), { last: 50 });
room.onstate = (audience, changes: KeptChange[]) => console.log(audience, changes.length);
await room.followState().ready;
const standing: Message | null = room.state.public.get("poll:1");
try {
  const { seq } = await room.keep("vote:1", { choice: 1 }, { audience: "private", while: "voting:1" });
  const number: number | null = seq;
  console.log(number, standing);
} catch (error) {
  if (error instanceof Problem && error.code === "not_open") console.log(error.retryAfter);
}
// @ts-expect-error: a room has a number
connection.room("42");
// @ts-expect-error: no such audience
room.followState("everybody");
// @ts-expect-error: a state is none of these
connection.state.name === "online";

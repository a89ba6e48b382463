// Somebody who is logged in asks for a token, and somebody who is not.
import { server } from "./token.mjs";

const session = ({ headers }) => headers.cookie && { user: "mia", name: "Mia", isTeacher: true };
const app = server(process.argv[2], session).listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${app.address().port}/token`;
  const [known, unknown] = [await fetch(url, { headers: { cookie: "a" } }), await fetch(url)];
  const token = await known.text();
  console.log(JSON.stringify({ token, statuses: [known.status, unknown.status] }));
  process.exit(0);
});

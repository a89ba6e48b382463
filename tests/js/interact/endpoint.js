import { GatewayClock } from "../../../static/interact/clock.js";

/** An HTTP answer of the gateway. */
export const json =
  (value, status = 200) =>
  () =>
    new Response(JSON.stringify(value), { status });

export const session = (expires_at, user = "paul") => json({ user, roles: [], expires_at });

export const problem =
  (status, code, headers = {}) =>
  () =>
    new Response(JSON.stringify({ code, detail: `about ${code}`, status }), {
      status,
      headers: { "Content-Type": "application/problem+json", ...headers },
    });

/** An endpoint that gives these answers, one after the other. */
export function endpoint(...answers) {
  const requests = [];
  return {
    requests,
    base: "https://gateway.example",
    cookies: true,
    clock: new GatewayClock({ elapsed: () => 0, now: () => 0 }),
    fetch: async (url, init) => {
      requests.push({ path: url.replace("https://gateway.example", ""), ...init });
      return answers.shift()();
    },
  };
}

/**
 * The address of the gateway that serves the given module, if it is the page's own too; else the page's origin.
 * Both without a slash at the end. Pure.
 *
 * @param {string | undefined} module the module's address
 * @param {string} origin of the page
 */
export function gatewayOf(module, origin) {
  if (module === undefined || !URL.canParse(module)) return origin;
  const { origin: from, pathname } = new URL(module);
  const found = /^(.*)\/static\/(?:interact|built)\/[^/]+$/.exec(pathname);
  return from === origin && found !== null ? origin + found[1] : origin;
}

const ORIGIN = globalThis.location?.origin ?? "";

/** The address of the page's gateway, e.g. `https://school.example/interact`. */
export const GATEWAY = gatewayOf(import.meta.url, ORIGIN);

/** Its path (the gateway's `server.path`), which every path of the gateway begins with; mostly empty. */
export const PATH = GATEWAY.slice(ORIGIN.length);

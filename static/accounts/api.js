/** @typedef {"new" | "exists" | "twice" | "wrong"} State */

/**
 * One line of a list that the gateway has checked; `why`: what is wrong with it.
 * @typedef {object} Entry
 * @property {number} line
 * @property {string} written
 * @property {State} state
 * @property {string} [why]
 * @property {string} [user]
 * @property {string | null} [name]
 * @property {string[]} [roles]
 * @property {string} [password]
 * @property {boolean} [generated]
 */

/** An account with the password that nobody sees again. @typedef {{user: string, name: string | null, password: string}} Slip */
/** @typedef {{user: string, name: string | null, roles: string[], sessions: number, kept_out_until: string | null}} Account */
/** @typedef {{accounts: Account[], matching: number, total: number, next?: string}} Page */

const PATH = "/api/admin/accounts";
/** A year, which is as long as somebody can be kept out. */
const DISABLED = 365 * 86_400_000;

/** What an order that no gateway has to carry out has done. */
const DONE = { done: {}, missing: {} };

/** The accounts, as `/api/admin/accounts` has them. Every call rejects with a `Problem`. */
export class AccountsApi {
  /** @param {import("../admin/api.js").AdminApi} admin */
  constructor(admin) {
    this.admin = admin;
  }

  /** @param {string} text @returns {Promise<Entry[]>} */
  async check(text) {
    return (await this.admin.call("POST", `${PATH}/check`, { text })).entries;
  }

  /**
   * Make accounts, `MOST_AT_ONCE` of them at most; the users who have them now.
   *
   * @param {readonly Entry[]} entries
   * @param {boolean} replace also those that exist
   * @returns {Promise<string[]>}
   */
  async make(entries, replace) {
    const accounts = entries.map(({ user, password, roles, name }) => ({
      ...{ user, password, roles },
      ...(name ? { name } : {}),
    }));
    return (await this.admin.call("POST", PATH, { accounts, replace })).made;
  }

  /** @param {{search: string, size: string, after?: string}} query @returns {Promise<Page>} */
  page(query) {
    return this.admin.call("GET", `${PATH}?${new URLSearchParams(query)}`);
  }

  /** @param {string} user @returns {Promise<Slip>} */
  newPassword(user) {
    return this.admin.call("POST", `${this.#path(user)}/password`);
  }

  /** @param {string} user */
  async remove(user) {
    await this.admin.call("DELETE", this.#path(user));
    return DONE;
  }

  /** @param {string} user */
  logOut(user) {
    return this.admin.disconnect({ user });
  }

  /** @param {string} user */
  disable(user) {
    const until = new Date(Date.now() + DISABLED).toISOString();
    return this.admin.disconnect({ user, until });
  }

  /** @param {string} user */
  async enable(user) {
    await this.admin.call("POST", "/api/admin/admit", { user });
    return DONE;
  }

  /** @param {string} user */
  #path(user) {
    return `${PATH}/users/${encodeURIComponent(user)}`;
  }
}

/** Accounts that one call makes, as the gateway has it. */
export const MOST_AT_ONCE = 20;

/** @template T @param {readonly T[]} list @returns {T[][]} */
export function portions(list, size = MOST_AT_ONCE) {
  const found = [];
  for (let start = 0; start < list.length; start += size) found.push(list.slice(start, start + size));
  return found;
}

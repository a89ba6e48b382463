/**
 * The web and mail addresses in a text that somebody has written. Pure.
 *
 * Only addresses that begin with their scheme (`https:`, `http:`, `mailto:`) are links, so that the words which
 * one taps say where they lead.
 */

/** @typedef {{text: string, href: string}} Link */

/**
 * An address, and maybe what stands right behind it without a blank; without the signs that end a sentence or a
 * quotation in Chinese, Japanese or Korean.
 */
const ADDRESS =
  /(?:https?:\/\/(?![/?#])|mailto:)[^\s<>"`{}|\\^\p{C}。，、；：！？…「」『』（）【】《》〈〉“”‘’]+/giu;
/** In front of it: then its scheme is another one. */
const LONGER_SCHEME = /[a-z0-9.+-]/i;
/** Signs behind an address that belong to the sentence around it. */
const SENTENCE = ".,;:!?'*_~";
const BRACKETS = new Map([
  [")", "("],
  ["]", "["],
]);
/** Particles and endings that Korean appends to a word without a blank. */
const PARTICLES =
  /^(?:은|는|이|가|을|를|의|에|로|으로|와|과|도|만|에서|에서는|에서도|에는|에도|에게|로는|으로는|까지|부터|보다|처럼|마다|라도|이라도|나|이나|랑|이랑|하고|요|이요|이고|라고|이라고|라는|이라는|예요|이에요|입니다|인데|인데요)$/u;
const HANGUL = /\p{Script=Hangul}/u;

/**
 * A text in pieces, which together are the text.
 *
 * @param {string} text
 * @returns {(string | Link)[]}
 */
export function linksIn(text) {
  /** @type {(string | Link)[]} */
  const pieces = [];
  let told = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const link = linkOf(trimmed(found[0]));
    if (link === null || LONGER_SCHEME.test(text.charAt(found.index - 1))) continue;
    if (found.index > told) pieces.push(text.slice(told, found.index));
    pieces.push(link);
    told = found.index + link.text.length;
  }
  if (told < text.length || pieces.length === 0) pieces.push(text.slice(told));
  return pieces;
}

/** The address without what belongs to the sentence, as in "(address)를." @param {string} found */
function trimmed(found) {
  return withoutSigns(withoutParticle(withoutSigns(found)));
}

/** @param {string} address */
function withoutSigns(address) {
  /** How often a bracket stands in what is left. @type {Map<string, number>} */
  const left = new Map();
  for (const sign of address) left.set(sign, (left.get(sign) ?? 0) + 1);
  const count = (/** @type {string} */ sign) => left.get(sign) ?? 0;
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    const opening = BRACKETS.get(last);
    // A bracket belongs to the address if it was opened there.
    const isUnopened = opening !== undefined && count(last) > count(opening);
    if (!isUnopened && !SENTENCE.includes(last)) break;
    left.set(last, count(last) - 1);
  }
  return address.slice(0, end);
}

/**
 * A Korean page's name may end an address, too, so only a particle is taken off, and only behind other letters or
 * right behind the host.
 *
 * @param {string} address
 */
function withoutParticle(address) {
  let end = address.length;
  while (end > 0 && HANGUL.test(address[end - 1])) end -= 1;
  const before = address.slice(0, end);
  const isInHost = /^\w+:\/\/[^/?#]*[\w-]$/.test(before);
  const isAppended = /[\w)%&=~-]$/.test(before) || /^\w+:\/\/[^/?#]+\/$/.test(before);
  return isInHost || (isAppended && PARTICLES.test(address.slice(end))) ? before : address;
}

/** @param {string} text @returns {Link | null} null if it is none that one may follow blindly */
function linkOf(text) {
  if (/^mailto:/i.test(text)) return mailOf(text);
  try {
    const { hostname, username, password, href } = new URL(text);
    // What stands before an @ looks like the host, and is not.
    return hostname && !username && !password ? { text, href } : null;
  } catch {
    // Not an address (TypeError).
    return null;
  }
}

/** Without the subject, copies and text that a mail address may bring with it. @param {string} text @returns {Link | null} */
function mailOf(text) {
  const [address] = /^mailto:[^\s@?#&,;]+@[^\s@?#&,;]+\.[\p{L}\p{N}-]+/iu.exec(text) ?? [];
  return address === undefined ? null : { text: address, href: address };
}

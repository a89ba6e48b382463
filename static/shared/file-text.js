/** Bytes of a list that is read from a file. */
export const LARGEST_LIST = 1_000_000;

/**
 * The text of a file: UTF-8 or UTF-16 with their marks, UTF-8, or CP949 as Korean Excel writes it.
 *
 * @param {ArrayBuffer} bytes
 */
export function textOf(bytes) {
  const [first, second] = new Uint8Array(bytes.slice(0, 2));
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // The Encoding Standard's euc-kr is CP949 (windows-949).
    return new TextDecoder("euc-kr").decode(bytes);
  }
}

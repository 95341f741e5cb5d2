// Names that no other conversation, message or file has, made in this browser.

/**
 * Returns a new id, 122 bits of chance in the form of a UUID.
 *
 * `crypto.randomUUID` says the same where there is one: a page that came over plain HTTP from
 * another machine has none.
 */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

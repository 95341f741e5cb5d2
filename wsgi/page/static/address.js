// Which conversation is open, as the browser's address has it: so a reload and the way back work.

/** Returns the id of the conversation in the address, or an empty text. */
export function addressedId() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/** Returns the address of a conversation, as a link has it. */
export const addressOf = (conversation) => `#${encodeURIComponent(conversation.id)}`;

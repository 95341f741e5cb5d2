// Small choices that outlive a visit. Where storage is forbidden they last until the page is closed.

const PREFIX = "pyllama.";
const fallback = new Map();

/** Returns what was remembered under a name, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return fallback.get(name) ?? null;
  }
}

/** Remembers a text under a name. */
export function remember(name, text) {
  try {
    localStorage.setItem(PREFIX + name, text);
  } catch {
    fallback.set(name, text);
  }
}

/** Calls a function with the name and the text of what another tab remembered. */
export function onRemembered(listener) {
  addEventListener("storage", (event) => {
    if (event.key?.startsWith(PREFIX)) listener(event.key.slice(PREFIX.length), event.newValue);
  });
}

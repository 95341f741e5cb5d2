// Copying, also where the page came over plain HTTP and the browser's own way is closed.

import { notify } from "./notices.js";
import { t } from "./i18n.js";

/** Copies a text; returns whether that was allowed, and says so if it was not. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (copyBySelection(text)) return true;
    notify(t("copyFailed"), { isError: true });
    return false;
  }
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
  return isCopied;
}

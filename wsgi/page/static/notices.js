// Short messages: on the screen for a while, and to a screen reader once.

import { byId, el, iconButton } from "./dom.js";
import { t } from "./i18n.js";

const SHOWN_MS = 6000;
const SPOKEN = 1500;

/** Shows a message; an error stays until it is closed. */
export function notify(text, { isError = false } = {}) {
  const close = iconButton("close", t("close"), () => notice.remove());
  const notice = el(isError ? "div.notice.is-error" : "div.notice", { role: isError ? "alert" : "status" }, el("p", {}, text), close);
  byId("notices").append(notice);
  if (!isError) setTimeout(() => notice.remove(), SHOWN_MS);
}

/** Lets a screen reader say something; a long text is cut, for it can be read where it stands. */
export function announce(text) {
  byId("announcer").textContent = text.length > SPOKEN ? `${text.slice(0, SPOKEN)}…` : text;
}

/** Asks a question; returns whether the answer was yes. */
export function confirmed(title, text, yes) {
  const dialog = byId("question");
  byId("question-title").textContent = title;
  byId("question-text").textContent = text;
  byId("question-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

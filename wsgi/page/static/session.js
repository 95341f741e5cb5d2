// The page's name at the server: one for each visit.

import { get, post, send } from "./api.js";

let id = null;

/** Returns the id, asking for one the first time. */
export async function sessionId() {
  id ??= (await post("api/sessions", {})).sessionId;
  return id;
}

/** Forgets an id that the server no longer knows. */
export function forgetSession() {
  id = null;
}

/** Tells the server that this visit is over; also as the page is closed. */
export function endSession() {
  if (id === null) return;
  send(`api/sessions/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  id = null;
}

/** Returns what the server says of its model. */
export const modelStatus = () => get("api/models");

/** Returns what the server says of its queue. */
export const queueStatus = () => get("api/queue/status");

// What the server says of itself: the model, the queue, whether it is there at all.

import { byId } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { modelStatus, queueStatus } from "./session.js";
import { recommend } from "./settings.js";

const EVERY_MS = 3000;
const SOON_MS = 1000;

let state = "unknown";
let model = null;
let queue = null;
let timer = null;
let tellAsked;

/** Settles once the server was asked what model it has, whatever came of it. */
export const asked = new Promise((resolve) => { tellAsked = resolve; });

/** Whether a message can be answered now, as far as is known. */
export const isReady = () => state !== "loading";

/** Whether the model takes files of a kind, as far as is known. */
export function takes(kind) {
  const sense = { image: "vision", video: "vision", audio: "audio" }[kind];
  return model?.modalities?.[sense] ?? true;
}

/** Begins to ask the server, as long as somebody looks. */
export function watchServer() {
  onLanguage(show);
  document.addEventListener("visibilitychange", check);
  addEventListener("online", check);
  addEventListener("offline", check);
  return check();
}

/** Asks now. */
export async function check() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    if (state !== "ready") {
      model = await modelStatus();
      recommend(model.recommended ?? {});
    }
    queue = await queueStatus();
    state = "ready";
  } catch (error) {
    state = error.isLost ? "lost" : error.status === 503 ? "loading" : "ready";
  }
  tellAsked();
  show();
  clearTimeout(timer);
  timer = setTimeout(check, state === "ready" ? EVERY_MS : SOON_MS);
}

function show() {
  const dot = byId("model-dot");
  dot.classList.toggle("is-ready", state === "ready");
  dot.classList.toggle("is-lost", state === "lost");
  byId("model").textContent = modelText();
  const banner = byId("banner");
  const text = { loading: t("loading"), lost: t("noServer") }[state] ?? "";
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
  showQueue();
}

function modelText() {
  if (!model?.loaded) return state === "ready" ? t("noModel") : "…";
  const name = model.loaded.replace(/\.gguf$/i, "");
  return [name, model.architecture, model.loadedBackend].filter(Boolean).join(" · ");
}

function showQueue() {
  const badge = byId("queue");
  const waiting = queue?.pending_requests ?? 0;
  badge.hidden = state !== "ready" || !(queue?.busy || waiting);
  badge.classList.toggle("is-waiting", waiting > 0);
  badge.textContent = waiting ? t("queueWaiting", { n: waiting }) : t("queueBusy");
}

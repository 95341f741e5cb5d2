// Attached files: small pictures of them, and their way to the server.

import { ApiError, upload } from "./api.js";
import { t } from "./i18n.js";
import { newId } from "./ids.js";

const THUMB_PX = 320;
// What the server called a file, as long as this page lives; the server forgets it some day too.
const handles = new Map();

/** Returns the record of a file that a person attached; it is not on the server yet. */
export async function newAttachment(file) {
  return {
    id: newId(),
    name: file.name || `${t("attachments")}.${file.type.split("/")[1] ?? "bin"}`,
    size: file.size,
    kind: file.type.split("/")[0],
    thumb: file.type.startsWith("image/") ? await thumbnail(file) : null,
  };
}

/**
 * Takes a file to the server, completing its record.
 * @throws {ApiError} the server refused it
 */
export async function place(attachment, file) {
  const said = await upload(file, attachment.name);
  if (said.mediaType === "unknown") throw new ApiError(t("unknownFile", { name: attachment.name }), 415);
  attachment.kind = said.mediaType;
  handles.set(attachment.id, said.path);
  if (said.mediaType !== "text") return;
  attachment.text = said.textContent;
  if (!said.truncated) return;
  const n = said.returnedTokenCount ?? said.truncateLimit;
  attachment.note = said.truncateUnit === "tokens"
    ? t("truncated", { n, all: said.originalTokenCount })
    : t("truncatedCharacters", { n });
}

/** Returns what the server calls a file, taking it there again if need be. */
export async function handleOf(attachment, store) {
  if (!handles.has(attachment.id)) {
    const blob = await store.loadFile(attachment.id);
    if (!blob) throw new ApiError(t("fileGone", { name: attachment.name }), 404);
    await place(attachment, blob);
  }
  return handles.get(attachment.id);
}

/** Forgets what the server calls files. */
export function forgetHandles(attachments) {
  for (const { id } of attachments) handles.delete(id);
}

/** Whether a text is a picture of ours: nothing else may come from an imported file. */
export const isThumbnail = (text) => typeof text === "string" && /^data:image\/(png|jpeg|webp);base64,[\w+/=]+$/.test(text);

// A broken image has no picture; what is wrong with it is for the server to say.
async function thumbnail(file) {
  try {
    const image = await createImageBitmap(file);
    const scale = Math.min(1, THUMB_PX / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    return canvas.toDataURL("image/webp", 0.8);
  } catch {
    return null;
  }
}

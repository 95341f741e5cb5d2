// What is seen of an attached file: a picture, a player, or its name.

import { el, icon } from "./dom.js";

const PLAYED = ["audio", "video"];

/**
 * Returns what is seen of a file.
 * @param {object} file its record
 * @param {(id: string) => Promise<string|undefined>} urlOf tells the address of its bytes
 */
export function fileView(file, urlOf) {
  if (file.thumb) return el("img.thumb", { src: file.thumb, alt: file.name });
  const isPlayed = PLAYED.includes(file.kind);
  const name = el("span.file", {}, icon(isPlayed ? file.kind : "file"), el("span", { title: file.name }, file.name));
  return isPlayed ? player(file, name, urlOf) : name;
}

// The name alone stays where the bytes are gone, or where the browser cannot play them.
function player(file, name, urlOf) {
  const view = el(`div.player.is-${file.kind}`, {}, name);
  urlOf(file.id).then((url) => {
    if (!url) return;
    const media = el(file.kind, { src: url, controls: true, preload: "metadata", playsInline: true, "aria-label": file.name });
    media.addEventListener("error", () => media.remove());
    view.prepend(media);
  }, (error) => console.warn("not to be played", error));
  return view;
}

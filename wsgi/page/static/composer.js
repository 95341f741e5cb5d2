// Where a person writes: text, files, and two switches.

import { ApiError } from "./api.js";
import { newAttachment, place } from "./attachments.js";
import { byId, el, fitHeight, icon, iconButton, setChildren } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { announce } from "./notices.js";
import { openSettings } from "./panel.js";
import { change, onSettings, settings } from "./settings.js";
import { takes } from "./status.js";

/** The message box. */
export class Composer {
  #prompt = byId("prompt");
  #files = [];
  #isBusy = false;
  #onSend;
  #store;

  /**
   * @param {Store} store keeps the files
   * @param {(text: string, attachments: object[]) => boolean} onSend takes a message, or refuses it
   * @param {() => void} onStop stops the answer
   */
  constructor(store, onSend, onStop) {
    this.#store = store;
    this.#onSend = onSend;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    byId("stop").addEventListener("click", onStop);
    this.#prompt.addEventListener("input", () => this.#update());
    this.#prompt.addEventListener("keydown", (event) => this.#onKey(event));
    this.#listenForFiles();
    byId("think").addEventListener("click", () => change({ think: !settings.think }));
    byId("json").addEventListener("click", openSettings);
    onSettings(() => this.#update());
    onLanguage(() => this.#update());
  }

  /** Shows whether an answer is in the making. */
  set isBusy(isBusy) {
    const hadFocus = [byId("send"), byId("stop")].includes(document.activeElement);
    this.#isBusy = isBusy;
    this.#update();
    if (hadFocus) (isBusy ? byId("stop") : this.#prompt).focus();
  }

  /** Puts the cursor into the box. */
  focus() {
    this.#prompt.focus();
  }

  /** Replaces the text. */
  fill(text) {
    this.#prompt.value = text;
    this.#update();
    this.focus();
  }

  #onKey(event) {
    // Enter that ends the choice of a character is no Enter; 229 is how some browsers say so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    if (!this.#canSend()) return;
    const files = this.#files.map((file) => file.attachment);
    if (!this.#onSend(this.#prompt.value.trim(), files)) return;
    this.#files = [];
    this.#prompt.value = "";
    this.#update();
  }

  #canSend() {
    const isReady = this.#files.every((file) => file.state === "ready");
    return !this.#isBusy && isReady && Boolean(this.#prompt.value.trim() || this.#files.length);
  }

  #update() {
    fitHeight(this.#prompt);
    byId("send").hidden = this.#isBusy;
    byId("stop").hidden = !this.#isBusy;
    byId("send").setAttribute("aria-disabled", String(!this.#canSend()));
    byId("think").setAttribute("aria-pressed", String(settings.think));
    byId("json").hidden = settings.jsonMode === "off";
    byId("json").title = t("jsonOpen");
    byId("chips").hidden = this.#files.length === 0;
    setChildren(byId("chips"), this.#files.map((file) => this.#chip(file)));
  }

  #chip(file) {
    const { attachment, state, fault } = file;
    const note = { uploading: t("uploading"), faulty: fault, ready: attachment.note ?? size(attachment.size) }[state];
    const picture = attachment.thumb ? el("img", { src: attachment.thumb, alt: "" }) : icon(["audio", "video"].includes(attachment.kind) ? attachment.kind : "file");
    const remove = iconButton("close", t("detach", { name: attachment.name }), () => {
      this.#files = this.#files.filter((other) => other !== file);
      this.#update();
      this.focus();
    });
    return el(state === "faulty" ? "li.chip.is-faulty" : "li.chip", {}, picture, el("div", {}, el("strong", { title: attachment.name }, attachment.name), el("small", {}, note)), remove);
  }

  #listenForFiles() {
    const input = byId("attach-file");
    byId("attach").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.#attach(input.files);
      input.value = "";
    });
    this.#prompt.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.#attach(event.clipboardData.files);
    });
    const hint = byId("drop-hint");
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      hint.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) hint.hidden = true;
    });
    addEventListener("drop", (event) => {
      hint.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.#attach(event.dataTransfer.files);
    });
  }

  #attach(files) {
    // The list empties itself once the event is over.
    for (const file of [...files]) this.#take(file);
    this.focus();
  }

  async #take(blob) {
    const file = { attachment: await newAttachment(blob), state: "uploading", fault: "" };
    this.#files.push(file);
    this.#update();
    try {
      checkTaken(file.attachment);
      await place(file.attachment, blob);
      // The browser may not have known what it is.
      checkTaken(file.attachment);
      if (file.attachment.kind !== "text") await this.#store.saveFile(file.attachment.id, blob);
      file.state = "ready";
    } catch (error) {
      file.state = "faulty";
      file.fault = error.isLost ? t("lost") : error.message;
      announce(`${file.attachment.name}: ${file.fault}`);
    }
    this.#update();
  }
}

// A model without eyes or ears is no reason to write a question first.
function checkTaken({ kind }) {
  const word = { image: "takesNoImage", audio: "takesNoAudio", video: "takesNoVideo" }[kind];
  if (word && !takes(kind)) throw new ApiError(t(word), 415);
}

function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: units[power], unitDisplay: "short", maximumFractionDigits: power && 1 })
    .format(bytes / 1000 ** power);
}

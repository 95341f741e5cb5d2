// Markdown, rendered by the server. The only place where text becomes elements, and only the
// server's own text does: it escapes whatever a model wrote.

import { post } from "./api.js";
import { el, icon, nameButton } from "./dom.js";
import { t } from "./i18n.js";
import { copyText } from "./clipboard.js";

const EVERY_MS = 250;
const KEEP = 400;
const known = new Map();
const waiting = new Map();
let timer = null;

const policy = globalThis.trustedTypes?.createPolicy("pyllama-rendered", { createHTML: (html) => html });

/** Shows a text in an element: as it is until the server has rendered it, then as Markdown. */
export class Prose {
  #text = "";
  #rendered = "";
  #parts = [];

  constructor() {
    this.element = el("div.prose.is-raw");
  }

  /** Shows a text, soon; while it is not up to date it is marked as busy. */
  set(text) {
    if (text === this.#text) return;
    if (!text.startsWith(this.#rendered)) this.#clear();
    this.#text = text;
    this.element.setAttribute("aria-busy", "true");
    waiting.delete(this);
    if (known.has(text)) this.take(text, known.get(text));
    else {
      if (!this.#rendered) this.element.textContent = text;
      waiting.set(this, text);
      timer ??= setTimeout(flush, EVERY_MS);
    }
  }

  /** Takes what the server made of a text. */
  take(text, html) {
    // The text may have grown meanwhile: then this is nearer to it than what is shown, unless a
    // later answer came before.
    if (!this.#text.startsWith(text) || text.length < this.#rendered.length) return;
    this.#rendered = text;
    this.#show(html);
    this.element.setAttribute("aria-busy", String(this.#text !== text));
  }

  #clear() {
    this.#rendered = "";
    this.#parts = [];
    this.element.classList.add("is-raw");
    this.element.replaceChildren();
  }

  // Only from the first part that differs: what was read, selected or scrolled before stays.
  #show(html) {
    const holder = document.createElement("template");
    holder.innerHTML = policy ? policy.createHTML(html) : html;
    const fresh = [...holder.content.children];
    const parts = fresh.map((node) => node.outerHTML);
    if (this.#parts.length === 0) this.element.replaceChildren();
    this.element.classList.remove("is-raw");
    let same = 0;
    while (same < parts.length && parts[same] === this.#parts[same]) same += 1;
    while (this.element.childNodes.length > same) this.element.lastChild.remove();
    this.element.append(...fresh.slice(same).map(furnish));
    this.#parts = parts;
  }
}

async function flush() {
  const asked = [...waiting];
  waiting.clear();
  const texts = [...new Set(asked.map(([, text]) => text))];
  try {
    const { html } = await post("api/render", { texts });
    texts.forEach((text, index) => keep(text, html[index]));
    for (const [prose, text] of asked) prose.take(text, known.get(text));
  } catch (error) {
    // The text itself is there to be read; the next one asks again.
    console.warn("not rendered", error);
  }
  timer = waiting.size ? setTimeout(flush, EVERY_MS) : null;
}

function keep(text, html) {
  known.set(text, html);
  if (known.size > KEEP) known.delete(known.keys().next().value);
}

// Code gets a line with its language and a button; wide content can be scrolled by keyboard too.
function furnish(node) {
  const holder = el("div", {}, node);
  for (const pre of holder.querySelectorAll("pre")) {
    const box = el("div.code-box");
    pre.replaceWith(box);
    box.append(codeHead(pre), pre);
    pre.tabIndex = 0;
  }
  for (const table of holder.querySelectorAll("table")) table.tabIndex = 0;
  return holder.firstChild;
}

function codeHead(pre) {
  const label = el("span", {}, t("copy"));
  const button = el("button", { type: "button" }, icon("copy"), label);
  nameButton(button, t("copyCode"));
  button.addEventListener("click", async () => {
    if (!(await copyText(pre.textContent))) return;
    label.textContent = t("copied");
    setTimeout(() => { label.textContent = t("copy"); }, 2000);
  });
  return el("div.code-head", {}, el("span", {}, pre.dataset.language ?? ""), button);
}

// The list of conversations: search, rename, delete, export, import.

import { addressOf } from "./address.js";
import { byId, el, iconButton, setChildren } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { announce, confirmed, notify } from "./notices.js";
import { exportFile, readExport } from "./transfer.js";
import { searchText } from "./tree.js";

const NARROW = matchMedia("(max-width: 52rem)");

/** The sidebar; a drawer where the window is narrow. */
export class Sidebar {
  #app;
  #search = byId("search");
  #renaming = null;

  /** @param {object} app has the conversations, and does what is asked for */
  constructor(app) {
    this.#app = app;
    byId("new-chat").addEventListener("click", () => {
      this.close();
      app.newChat();
    });
    this.#search.addEventListener("input", () => this.#searched());
    byId("export").addEventListener("click", () => exportFile(app.all()));
    byId("import").addEventListener("click", () => byId("import-file").click());
    byId("import-file").addEventListener("change", (event) => this.#import(event.target));
    byId("sidebar-open").addEventListener("click", () => this.#open());
    byId("sidebar-close").addEventListener("click", () => this.close());
    byId("scrim").addEventListener("click", () => this.close());
    byId("sidebar").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#isOpen) this.close();
    });
    NARROW.addEventListener("change", () => this.close());
    onLanguage(() => this.update());
  }

  /** Shows the conversations that the search finds, the newest first. */
  update() {
    if (this.#renaming) return;
    const found = this.#found();
    const list = byId("conversations");
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    list.replaceChildren(...found.map((conversation) => this.#item(conversation)));
    if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    const hint = byId("no-conversations");
    hint.hidden = found.length > 0;
    hint.textContent = t(this.#search.value.trim() ? "nothingFound" : "noConversations");
  }

  /** Hides the drawer. */
  close() {
    const hadFocus = byId("sidebar").contains(document.activeElement);
    this.#show(false);
    if (hadFocus && NARROW.matches) byId("sidebar-open").focus();
  }

  get #isOpen() {
    return byId("sidebar").classList.contains("is-open");
  }

  #open() {
    this.#show(true);
    byId("sidebar-close").focus();
  }

  #show(isOpen) {
    byId("sidebar").classList.toggle("is-open", isOpen);
    byId("sidebar-open").setAttribute("aria-expanded", String(isOpen));
    byId("scrim").hidden = !isOpen;
    byId("main").inert = isOpen;
  }

  #found() {
    const wanted = this.#search.value.trim().toLowerCase();
    const all = this.#app.all();
    return wanted ? all.filter((conversation) => searchText(conversation).includes(wanted)) : all;
  }

  #searched() {
    this.update();
    if (this.#search.value.trim()) announce(t("found", { n: this.#found().length }));
  }

  #item(conversation) {
    const title = conversation.title || t("newChat");
    const isCurrent = conversation === this.#app.current;
    const link = el("a", { href: addressOf(conversation), title, "data-key": `open-${conversation.id}`, onclick: () => this.close() }, title);
    if (isCurrent) link.setAttribute("aria-current", "page");
    const actions = el("span.item-actions", {},
      iconButton("edit", t("rename", { title }), () => this.#rename(conversation, item), { "data-key": `rename-${conversation.id}` }),
      iconButton("delete", t("remove", { title }), () => this.#remove(conversation, title)));
    const busy = this.#app.runOf(conversation) ? el("span.busy", { title: t("answering"), role: "img", "aria-label": t("answering") }) : null;
    const item = el(isCurrent ? "li.is-current" : "li", {}, busy, link, actions);
    return item;
  }

  #rename(conversation, item) {
    const input = el("input", { type: "text", value: conversation.title, maxLength: 200, "aria-label": t("renameField") });
    this.#renaming = conversation;
    const end = (isKept) => {
      if (!this.#renaming) return;
      this.#renaming = null;
      const title = input.value.trim();
      if (isKept && title && title !== conversation.title) this.#app.rename(conversation, title);
      this.update();
      byId("conversations").querySelector(`[data-key="${CSS.escape(`rename-${conversation.id}`)}"]`)?.focus();
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
      event.stopPropagation();
      end(event.key === "Enter");
    });
    input.addEventListener("blur", () => end(true));
    setChildren(item, [input]);
    input.select();
  }

  async #remove(conversation, title) {
    if (!(await confirmed(t("removeQuestion", { title }), t("removeText"), t("removeYes")))) return;
    this.#app.remove(conversation);
    byId("new-chat").focus();
  }

  async #import(input) {
    const [file] = input.files;
    try {
      const conversations = readExport(await file.text());
      await this.#app.take(conversations);
      notify(t("imported", { n: conversations.length }));
    } catch (error) {
      notify(t("importFailed", { reason: error.message }), { isError: true });
    }
    input.value = "";
  }
}

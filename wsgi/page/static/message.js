// One message on the screen. It is changed in place, so that focus and selection stay.

import { copyText } from "./clipboard.js";
import { el, fitHeight, icon, iconButton, nameButton, setChildren } from "./dom.js";
import { t } from "./i18n.js";
import { fileView } from "./media.js";
import { Reasoning, ToolCalls, remarkOn, statsText, trouble } from "./parts.js";
import { Prose } from "./rendered.js";

/** Shows a message of either side. */
export class MessageView {
  /**
   * @param {object} node the message
   * @param {object} actions what can be done: edit, regenerate, revert, showVersion, giveResult; and urlOf
   */
  constructor(node, actions) {
    this.node = node;
    this.actions = actions;
    this.element = el(`li.message.${node.role}`, { "data-id": node.id });
  }

  /** The buttons that every message has, in a row. */
  foot({ versions }, ...own) {
    const copy = iconButton("copy", t("copy"), async () => {
      if (!(await copyText(this.node.content))) return;
      copy.replaceChildren(icon("done"));
      nameButton(copy, t("copied"));
      setTimeout(() => {
        copy.replaceChildren(icon("copy"));
        nameButton(copy, t("copy"));
      }, 2000);
    });
    const revert = iconButton("revert", t("revert"), () => this.actions.revert(this.node));
    const actions = el("span.actions", {}, copy, ...own, revert);
    return [actions, this.#versions(versions)];
  }

  #versions({ all, index }) {
    if (all.length < 2) return null;
    const step = (name, key, to) => {
      const isOff = !all[to];
      return iconButton(name, t(key), () => all[to] && this.actions.showVersion(all[to]), { "aria-disabled": String(isOff) });
    };
    const place = el("span", {}, el("span", { "aria-hidden": "true" }, `${index + 1}/${all.length}`),
      el("span.visually-hidden", {}, t("version", { n: index + 1, all: all.length })));
    return el("span.versions", {}, step("left", "formerVersion", index - 1), place, step("right", "laterVersion", index + 1));
  }
}

/** What a person wrote, or what a tool gave. */
export class OwnMessage extends MessageView {
  #made = "";

  /** Shows the message in its place. */
  update(place) {
    const state = JSON.stringify([this.node, place.versions.index, place.versions.all.length, t("name")]);
    if (state === this.#made) return;
    this.#made = state;
    const { node } = this;
    const own = node.role === "user" ? [iconButton("edit", t("edit"), () => this.#edit())] : [];
    const label = node.role === "user" ? t("you") : t("toolResult", { name: node.toolName });
    const files = node.attachments?.length ? el("div.attachments", {}, ...node.attachments.map((file) => fileView(file, this.actions.urlOf))) : null;
    setChildren(this.element, [
      el("h2.visually-hidden", {}, label),
      files,
      node.content ? el("div.bubble", {}, node.content) : null,
      el("div.message-foot", {}, ...this.foot(place, ...own)),
    ].filter(Boolean));
  }

  #edit() {
    const area = el("textarea", { value: this.node.content, "aria-label": t("editField"), oninput: () => fitHeight(area) });
    const leave = () => {
      this.#made = "";
      this.actions.refresh();
      this.element.querySelector(".message-foot button:nth-of-type(2)")?.focus();
    };
    const save = () => {
      const text = area.value.trim();
      if (text || this.node.attachments?.length) this.actions.edit(this.node, text);
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        leave();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        save();
      }
    });
    setChildren(this.element, [el("div.edit", {}, area, el("div.dialog-actions", {},
      el("button.button", { type: "button", onclick: leave }, t("cancel")),
      el("button.button.primary", { type: "button", onclick: save }, t("saveAndSend"))))]);
    fitHeight(area);
    area.focus();
  }
}

/** What the model said. */
export class AnswerView extends MessageView {
  #prose = new Prose();
  #reasoning = new Reasoning();
  #heading = el("h2.visually-hidden");
  #waiting = el("div.waiting");
  #remark = el("p.remark");
  #foot = el("div.message-foot");
  #made = "";

  constructor(node, actions) {
    super(node, actions);
    this.tools = new ToolCalls((...result) => actions.giveResult(...result));
  }

  /** Shows the message in its place, and how far it is. */
  update(place) {
    const { node } = this;
    const isRunning = Boolean(place.run);
    this.#heading.textContent = t("answer");
    this.#reasoning.update(node);
    this.#prose.set(node.content);
    this.#prose.element.hidden = !node.content;
    this.tools.update(node, place.isLast);
    this.#wait(place.run);
    const remark = remarkOn(node, isRunning);
    this.#remark.textContent = remark;
    this.#remark.hidden = !remark;
    this.#end(place, isRunning);
    const box = node.state === "failed" ? this.trouble : null;
    setChildren(this.element, [this.#heading, this.#reasoning.element, this.#prose.element, this.tools.element, this.#waiting, this.#remark, box, this.#foot].filter(Boolean));
    this.element.setAttribute("aria-busy", String(isRunning));
  }

  #wait(run) {
    this.#waiting.hidden = !run || Boolean(this.node.content || this.node.thinking);
    if (this.#waiting.hidden) return;
    const text = run.queued === null ? t("waiting") : t("queued", { n: run.queued });
    if (this.#waiting.lastChild?.textContent === text) return;
    this.#waiting.replaceChildren(el("span.pulse", { "aria-hidden": "true" }, el("i"), el("i"), el("i")), el("span", {}, text));
  }

  // The buttons come when the answer is whole, and are made anew only if something changed.
  #end(place, isRunning) {
    const { node } = this;
    this.#foot.hidden = isRunning;
    const state = JSON.stringify([isRunning, node.state, node.error, place.versions.index, place.versions.all.length, t("name")]);
    if (state === this.#made) return;
    this.#made = state;
    const again = () => this.actions.regenerate(node);
    this.trouble = trouble(node, again);
    const buttons = this.foot(place, iconButton("again", t("regenerate"), again));
    setChildren(this.#foot, [...buttons, el("span.stats", {}, statsText(node))].filter(Boolean));
  }
}

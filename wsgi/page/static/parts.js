// The parts of an answer beside its text: thoughts, tool calls, figures, trouble.

import { el, icon, setChildren } from "./dom.js";
import { number, t } from "./i18n.js";
import { Prose } from "./rendered.js";

/** What the model thought before it answered: open while it thinks, then closed unless wanted. */
export class Reasoning {
  #label = el("span");
  #prose = new Prose();
  #isChosen = false;

  constructor() {
    const summary = el("summary", { onclick: () => { this.#isChosen = true; } }, icon("think"), this.#label);
    this.element = el("details.reasoning", {}, summary, el("div", {}, this.#prose.element));
  }

  /** Shows a message's thoughts. */
  update(node) {
    this.element.hidden = !node.thinking;
    if (!node.thinking) return;
    const isThinking = node.state === "running" && !node.content && node.thinkingMs === undefined;
    if (!this.#isChosen) this.element.open = isThinking;
    this.#label.textContent = label(node, isThinking);
    this.#prose.set(node.thinking);
  }
}

function label(node, isThinking) {
  if (isThinking) return t("reasoning");
  return node.thinkingMs === undefined ? t("reasonedSome") : t("reasoned", { s: number(node.thinkingMs / 1000, 1) });
}

/** What the model wants to have called, and a place for what came of it. */
export class ToolCalls {
  #made = "";

  constructor(onResult) {
    this.element = el("div");
    this.#onResult = onResult;
  }

  #onResult;

  /** Shows a message's calls; those that have no result yet can be given one. */
  update(node, isLast) {
    const calls = node.toolCalls ?? [];
    const state = JSON.stringify([calls, isLast && node.state === "done", t("name")]);
    if (state === this.#made) return;
    this.#made = state;
    const isOpen = isLast && node.state === "done";
    setChildren(this.element, calls.map((call) => this.#card(node, call, isOpen)));
  }

  #card(node, call, isOpen) {
    const heading = el("h3", {}, icon("tool"), el("span", {}, t("toolCall")), el("code", {}, call.name));
    const card = el("section.tool", {}, heading, el("pre", { tabIndex: 0 }, JSON.stringify(call.arguments, null, 2)));
    if (!isOpen) return card;
    const id = `result-${node.id}-${call.id}`;
    const area = el("textarea", { id, rows: 2, required: true });
    card.append(el("form", { onsubmit: (event) => {
      event.preventDefault();
      this.#onResult(node, call, area.value);
    } }, el("label", { for: id }, t("toolResultField")), area, el("button.button", {}, t("toolSend"))));
    return card;
  }
}

/** Returns a message's figures in words: tokens, speed, time to the first, what was cached. */
export function statsText({ stats }) {
  if (!stats?.tokens) return "";
  const said = [t("tokens", { n: number(stats.tokens) })];
  if (stats.perSecond) said.push(t("perSecond", { n: number(stats.perSecond, 1) }));
  if (stats.firstToken !== undefined) said.push(t("firstToken", { s: number(stats.firstToken, 2) }));
  if (stats.prompt) {
    const percent = number((100 * (stats.cached ?? 0)) / stats.prompt);
    said.push(t("cached", { n: number(stats.cached ?? 0), all: number(stats.prompt), percent }));
  }
  return said.join(" · ");
}

/** Returns what is to be said of how an answer ended, if anything is. */
export function remarkOn(node, isRunning) {
  if (node.state === "stopped") return t("stopped");
  if (node.state === "running" && !isRunning) return t("interrupted");
  if (node.state !== "done") return "";
  if (node.stats?.finish === "length") return t("cut", { n: number(node.stats.tokens ?? 0) });
  return node.content || node.toolCalls?.length ? "" : t("empty");
}

/** Returns the box that tells why an answer failed, with a way to try again. */
export function trouble(node, onRetry) {
  const text = node.error?.isLost ? t("lost") : node.error?.message || t("failed");
  return el("div.trouble", {}, icon("warning"), el("div", {}, text),
    el("button.text-button", { type: "button", onclick: onRetry }, t("retry")));
}

// The messages of the conversation that is open, and where they are scrolled to.

import { byId, setChildren } from "./dom.js";
import { t } from "./i18n.js";
import { AnswerView, OwnMessage } from "./message.js";
import { countFrom, hiddenAtEnd, shownPath, versionsOf } from "./tree.js";

const NEAR_PX = 48;

/** Shows one conversation at a time. */
export class Messages {
  #views = new Map();
  #conversation = null;
  #isFollowing = true;
  #frame = null;
  #scroller = byId("scroller");
  #actions;
  #runOf;

  /**
   * @param {object} actions what can be done with a message
   * @param {(conversation: object) => Run|undefined} runOf tells the answer in the making
   */
  constructor(actions, runOf) {
    this.#actions = { ...actions, refresh: () => this.update() };
    this.#runOf = runOf;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Rendered text and pictures change heights after the fact.
    new ResizeObserver(() => this.#follow()).observe(byId("messages"));
    new ResizeObserver(() => this.#follow()).observe(this.#scroller);
    byId("to-latest").addEventListener("click", () => this.toLatest());
    byId("set-aside").querySelector("button").addEventListener("click", () => {
      this.#actions.showVersion(hiddenAtEnd(this.#conversation));
    });
  }

  /** Opens a conversation at its end. */
  open(conversation) {
    this.#conversation = conversation;
    this.#views.clear();
    this.update();
    this.toLatest();
  }

  /** Shows what changed, with the next frame: answers come faster than a screen can show. */
  updateSoon() {
    this.#frame ??= requestAnimationFrame(() => this.update());
  }

  /** Shows what changed. */
  update() {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    const conversation = this.#conversation;
    const path = shownPath(conversation);
    const run = this.#runOf(conversation);
    const elements = path.map((node, index) => {
      const view = this.#view(node);
      view.update({ versions: versionsOf(conversation, node), run: run?.node === node ? run : null, isLast: index === path.length - 1 });
      return view.element;
    });
    setChildren(byId("messages"), elements);
    byId("welcome").hidden = Object.keys(conversation.nodes).length > 0;
    this.#showSetAside(conversation);
    this.#follow();
  }

  /** Goes to the end, and stays there while it moves. */
  toLatest() {
    this.#isFollowing = true;
    this.#follow();
  }

  /** Scrolls so that a message is seen. */
  focusMessage(node) {
    this.#views.get(node.id)?.element.querySelector("button")?.focus();
  }

  #view(node) {
    const known = this.#views.get(node.id);
    if (known && known.node === node) return known;
    const view = node.role === "assistant" ? new AnswerView(node, this.#actions) : new OwnMessage(node, this.#actions);
    this.#views.set(node.id, view);
    return view;
  }

  #showSetAside(conversation) {
    const hidden = hiddenAtEnd(conversation);
    const line = byId("set-aside");
    line.hidden = !hidden;
    if (hidden) line.querySelector("span").textContent = t("setAside", { n: countFrom(conversation, hidden) });
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#isFollowing = scrollHeight - scrollTop - clientHeight <= NEAR_PX;
    byId("to-latest").hidden = this.#isFollowing;
    byId("main").classList.toggle("is-scrolled", scrollTop > 4);
  }

  #follow() {
    if (this.#isFollowing) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else this.#scrolled();
  }
}

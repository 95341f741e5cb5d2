// The conversations, the answers in the making, and what can be done with them.

import { addressOf, addressedId } from "./address.js";
import { announce } from "./notices.js";
import { t } from "./i18n.js";
import { Run } from "./run.js";
import { ROOT, addNode, lastId, newConversation, setAside, show, titleFrom } from "./tree.js";

// An answer in the making is kept this often; everything else at once.
const SAVE_MS = 1000;

/** The state of the page. Views are told of changes through `onChange` and `onOpen`. */
export class App {
  #conversations = new Map();
  #runs = new Map();
  #saves = new Map();
  #store;

  current = newConversation();

  /** Called with a conversation of which something changed. */
  onChange = () => {};

  /** Called when another conversation is current. */
  onOpen = () => {};

  constructor(store) {
    this.#store = store;
    store.onForeignChange = (id) => this.#reload(id);
  }

  /** Takes the conversations that were kept. */
  start(kept) {
    for (const conversation of kept) this.#conversations.set(conversation.id, conversation);
  }

  /** Returns all conversations, the newest first. */
  all() {
    return [...this.#conversations.values()].sort((a, b) => b.updated - a.updated);
  }

  /** Returns the answer that a conversation is getting, or undefined. */
  runOf(conversation) {
    return this.#runs.get(conversation.id);
  }

  /** Opens a conversation by its id; a new one if there is none. */
  open(id) {
    const found = this.#conversations.get(id);
    if (found === this.current) return;
    this.current = found ?? newConversation();
    this.onOpen();
  }

  /** Opens an empty conversation. */
  newChat() {
    if (addressedId()) location.hash = "";
    else this.open("");
  }

  /** Sends a message, and begins the answer. */
  sendMessage(text, attachments) {
    const conversation = this.current;
    this.#ask(conversation, lastId(conversation), text, attachments);
  }

  /** Sends another version of a message. */
  edit(node, text) {
    this.#halt(this.current);
    this.#ask(this.current, node.parent, text, node.attachments ?? []);
  }

  /** Begins another version of an answer. */
  regenerate(node) {
    this.#halt(this.current);
    this.#answer(this.current, node.parent);
  }

  /** Gives what a tool's call came to, and begins the next answer when no call is open. */
  giveResult(node, call, content) {
    const conversation = this.current;
    const open = node.toolCalls.length - 1;
    const result = addNode(conversation, lastId(conversation), { role: "tool", content, callId: call.id, toolName: call.name });
    const given = this.#resultsSince(conversation, result);
    if (given > open) this.#answer(conversation, result.id);
    else this.#changed(conversation);
  }

  /** Goes back to before a message; it is set aside. */
  revert(node) {
    this.#halt(this.current);
    setAside(this.current, node);
    this.#changed(this.current);
  }

  /** Shows a version of a message. */
  showVersion(node) {
    show(this.current, node);
    this.#changed(this.current);
  }

  /** Stops the answer of the current conversation. */
  stop() {
    this.runOf(this.current)?.stop();
  }

  /** Gives a conversation another title. */
  rename(conversation, title) {
    conversation.title = title;
    this.#changed(conversation);
  }

  /** Deletes a conversation. */
  remove(conversation) {
    this.#halt(conversation);
    clearTimeout(this.#saves.get(conversation.id));
    this.#saves.delete(conversation.id);
    this.#conversations.delete(conversation.id);
    this.#store.remove(conversation);
    if (conversation === this.current) this.newChat();
    this.onChange(conversation);
  }

  /** Takes conversations from a file; one that is here already gets what it lacks. */
  async take(conversations) {
    for (const conversation of conversations) {
      const mine = this.#conversations.get(conversation.id);
      if (mine) conversation.nodes = { ...conversation.nodes, ...mine.nodes };
      await this.#store.save(conversation);
      this.#replace(conversation);
    }
  }

  /** Keeps everything that changed, now. */
  saveAll() {
    for (const id of [...this.#saves.keys()]) this.#save(id);
  }

  #ask(conversation, parent, content, attachments) {
    conversation.title ||= titleFrom(content || attachments[0].name);
    const node = addNode(conversation, parent, { role: "user", content });
    if (attachments.length) node.attachments = attachments;
    this.#conversations.set(conversation.id, conversation);
    if (conversation === this.current && addressedId() !== conversation.id) {
      history.pushState(null, "", addressOf(conversation));
    }
    this.#answer(conversation, node.id);
  }

  async #answer(conversation, parent) {
    const node = addNode(conversation, parent, { role: "assistant", state: "running" });
    const run = new Run(conversation, node, this.#store, () => this.#grown(conversation));
    this.#runs.set(conversation.id, run);
    this.#save(conversation.id);
    if (conversation === this.current) announce(t("answering"));
    await run.finish();
    if (this.#runs.get(conversation.id) === run) this.#runs.delete(conversation.id);
    this.#changed(conversation);
    if (conversation === this.current) announce(node.state === "failed" ? t("failed") : t("done", { text: node.content }));
  }

  #halt(conversation) {
    this.#runs.get(conversation.id)?.stop();
    this.#runs.delete(conversation.id);
  }

  #resultsSince(conversation, node) {
    let n = 0;
    for (let at = node; at?.role === "tool"; at = conversation.nodes[at.parent]) n += 1;
    return n;
  }

  #changed(conversation) {
    this.#save(conversation.id);
    this.onChange(conversation);
  }

  #grown(conversation) {
    if (!this.#saves.has(conversation.id)) {
      this.#saves.set(conversation.id, setTimeout(() => this.#save(conversation.id), SAVE_MS));
    }
    this.onChange(conversation);
  }

  #save(id) {
    clearTimeout(this.#saves.get(id));
    this.#saves.delete(id);
    const conversation = this.#conversations.get(id);
    if (conversation) this.#store.save(conversation);
  }

  async #reload(id) {
    const kept = await this.#store.load(id);
    const mine = this.#conversations.get(id);
    if (!kept) {
      if (mine) this.#forget(mine);
    } else if (this.#runs.has(id)) {
      mine.nodes = { ...kept.nodes, ...mine.nodes };
    } else {
      this.#replace(kept);
    }
  }

  #replace(conversation) {
    const isCurrent = this.current.id === conversation.id;
    this.#conversations.set(conversation.id, conversation);
    if (isCurrent) {
      this.current = conversation;
      this.onOpen();
    }
    this.onChange(conversation);
  }

  #forget(conversation) {
    this.#conversations.delete(conversation.id);
    if (conversation === this.current) this.newChat();
    this.onChange(conversation);
  }
}

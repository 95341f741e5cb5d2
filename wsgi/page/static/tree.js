// A conversation as a tree: each edit or new answer is another child, and nothing is ever lost.
//
// conversation: { id, title, created, updated, nodes: {id: node}, selected: {parent id: child id} }
// node: { id, parent, role, content, created, … }; the parent of the first messages is ROOT.

import { newId } from "./ids.js";

export const ROOT = "root";

/** Returns a new, empty conversation. */
export function newConversation() {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, nodes: {}, selected: {} };
}

/** Adds a message under another one, and shows it; returns it. */
export function addNode(conversation, parent, fields) {
  const node = { id: newId(), parent, content: "", created: Date.now(), ...fields };
  conversation.nodes[node.id] = node;
  conversation.selected[parent] = node.id;
  conversation.updated = node.created;
  return node;
}

/** Returns the messages under another one, oldest first. */
export function childrenOf(conversation, parent) {
  return Object.values(conversation.nodes)
    .filter((node) => node.parent === parent)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/** Returns the messages that are shown, from the first to the last. */
export function shownPath(conversation) {
  const path = [];
  let id = conversation.selected[ROOT];
  while (id && conversation.nodes[id]) {
    path.push(conversation.nodes[id]);
    id = conversation.selected[id];
  }
  return path;
}

/** Returns the messages from the first to a given one. */
export function pathTo(conversation, node) {
  const path = [];
  for (let at = node; at; at = conversation.nodes[at.parent]) path.unshift(at);
  return path;
}

/** Returns the id under which the next message goes. */
export const lastId = (conversation) => shownPath(conversation).at(-1)?.id ?? ROOT;

/** Returns the versions of a message, oldest first, and the place of this one. */
export function versionsOf(conversation, node) {
  const all = childrenOf(conversation, node.parent);
  return { all, index: all.indexOf(node) };
}

/** Shows a version of a message, with what followed it. */
export function show(conversation, node) {
  conversation.selected[node.parent] = node.id;
}

/** Hides a message and what follows it. */
export function setAside(conversation, node) {
  conversation.selected[node.parent] = null;
}

/** Returns the newest message that was hidden at the end of what is shown, or null. */
export function hiddenAtEnd(conversation) {
  const end = lastId(conversation);
  if (conversation.selected[end] !== null) return null;
  return childrenOf(conversation, end).at(-1) ?? null;
}

/** Returns how many messages come back with a hidden one. */
export function countFrom(conversation, node) {
  let n = 0;
  for (let at = node; at; at = conversation.nodes[conversation.selected[at.id]]) n += 1;
  return n;
}

/** Returns everything that a search looks at, in lower case. */
export function searchText(conversation) {
  const texts = Object.values(conversation.nodes).map((node) => node.content);
  return [conversation.title, ...texts].join("\n").toLowerCase();
}

/** Returns a title made of the first message. */
export function titleFrom(text) {
  const line = text.trim().split("\n", 1)[0].trim();
  const letters = [...line];
  return letters.length > 60 ? `${letters.slice(0, 59).join("")}…` : line;
}

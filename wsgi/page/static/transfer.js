// Conversations to a file and back. What comes from a file is checked piece by piece.

import { isThumbnail } from "./attachments.js";
import { el } from "./dom.js";
import { ROOT } from "./tree.js";

const FORMAT = "pyllama.conversations";
const VERSION = 1;
const ROLES = ["user", "assistant", "tool"];

/** Gives the person a file with conversations. The bytes of attachments are not in it. */
export function exportFile(conversations) {
  const text = JSON.stringify({ format: FORMAT, version: VERSION, exported: new Date().toISOString(), conversations }, null, 1);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const day = new Date().toISOString().slice(0, 10);
  el("a", { href: url, download: `pyllama-${day}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/**
 * Returns the conversations of a file's text.
 * @throws {Error} it holds none; the message says why
 */
export function readExport(text) {
  const data = JSON.parse(text);
  if (data?.format !== FORMAT || !Array.isArray(data.conversations)) throw new Error(`no "${FORMAT}"`);
  if (data.version !== VERSION) throw new Error(`version ${data.version}`);
  return data.conversations.map(readConversation);
}

function readConversation(from) {
  const nodes = {};
  for (const node of Object.values(object(from.nodes))) {
    const read = readNode(node);
    nodes[read.id] = read;
  }
  const known = (id) => id === ROOT || Object.hasOwn(nodes, id);
  // A message whose chain of parents never reaches the root, or runs in a circle, is left out.
  for (const id of Object.keys(nodes)) if (!isRooted(nodes, id)) delete nodes[id];
  const selected = Object.fromEntries(
    Object.entries(object(from.selected))
      .filter(([parent, child]) => known(parent) && (child === null || nodes[child]?.parent === parent)),
  );
  return { id: string(from.id), title: string(from.title), created: time(from.created), updated: time(from.updated), nodes, selected };
}

function isRooted(nodes, id) {
  const seen = new Set();
  let at = id;
  while (at !== ROOT) {
    if (seen.has(at) || !Object.hasOwn(nodes, at)) return false;
    seen.add(at);
    at = nodes[at].parent;
  }
  return true;
}

function readNode(from) {
  if (!ROLES.includes(from.role)) throw new Error(`role ${JSON.stringify(from.role)}`);
  const node = { id: string(from.id), parent: string(from.parent), role: from.role, content: string(from.content), created: time(from.created) };
  if (from.thinking) node.thinking = string(from.thinking);
  if (from.thinkingMs) node.thinkingMs = time(from.thinkingMs);
  if (from.callId) node.callId = string(from.callId);
  if (from.toolName) node.toolName = string(from.toolName);
  if (from.role === "assistant") {
    node.state = ["stopped", "failed"].includes(from.state) ? from.state : "done";
    node.toolCalls = list(from.toolCalls).map((call) => ({ id: string(call.id ?? ""), name: string(call.name), arguments: call.arguments ?? {} }));
    node.error = from.error ? { message: string(from.error.message), isLost: false } : null;
    node.stats = from.stats ? readStats(from.stats) : null;
  }
  if (from.attachments) node.attachments = list(from.attachments).map(readAttachment);
  return node;
}

function readStats(from) {
  const stats = { finish: typeof from.finish === "string" ? from.finish : null };
  for (const name of ["tokens", "perSecond", "firstToken", "elapsed", "prompt", "cached"]) {
    if (Number.isFinite(from[name])) stats[name] = from[name];
  }
  return stats;
}

function readAttachment(from) {
  const attachment = { id: string(from.id), name: string(from.name), kind: string(from.kind), size: time(from.size), thumb: isThumbnail(from.thumb) ? from.thumb : null };
  if (from.text) attachment.text = string(from.text);
  return attachment;
}

function string(value) {
  if (typeof value !== "string") throw new Error(`${JSON.stringify(value)} is no text`);
  return value;
}

function time(value) {
  if (!Number.isFinite(value)) throw new Error(`${JSON.stringify(value)} is no number`);
  return value;
}

function object(value) {
  if (typeof value !== "object" || value === null) throw new Error(`${JSON.stringify(value)} is no object`);
  return value;
}

const list = (value) => Array.isArray(value) ? value.map(object) : [];

// From a conversation to the body of a request.

import { t } from "./i18n.js";
import { handleOf } from "./attachments.js";
import { requestOptions, settings } from "./settings.js";

const ASK = { video: "askVideo", audio: "askAudio", image: "askImage", text: "askText" };
const PATHS = { image: "imagePaths", audio: "audioPaths", video: "videoPaths" };

/**
 * Returns the body that asks for what follows some messages.
 * @param {object[]} path the messages, from the first to the last
 * @param {Store} store has the attached files, should the server have forgotten them
 */
export async function requestBody(path, store) {
  const messages = [];
  if (settings.systemPrompt.trim()) messages.push({ role: "system", content: settings.systemPrompt });
  for (const node of path) messages.push(await messageOf(node, store));
  return { ...requestOptions(), messages };
}

async function messageOf(node, store) {
  if (node.role === "assistant") {
    const message = { role: "assistant", content: node.content };
    if (node.toolCalls?.length) message.tool_calls = node.toolCalls;
    return message;
  }
  if (node.role === "tool") return { role: "tool", content: node.content, toolCallId: node.callId };
  const files = node.attachments ?? [];
  const message = { role: "user", content: withTexts(node.content, files) };
  for (const [kind, member] of Object.entries(PATHS)) {
    const ofKind = files.filter((file) => file.kind === kind);
    if (ofKind.length) message[member] = await Promise.all(ofKind.map((file) => handleOf(file, store)));
  }
  return message;
}

// Files of text stand before the question, each between two lines that name it.
function withTexts(content, files) {
  const texts = files.filter((file) => file.kind === "text");
  const blocks = texts.map((file) => `[File: ${file.name}]\n${file.text}\n[End of file]`);
  const kind = Object.keys(ASK).find((each) => files.some((file) => file.kind === each));
  const question = content.trim() || !kind ? content : t(ASK[kind]);
  return [...blocks, question].join("\n\n");
}

// One answer in the making: from a request's frames into a message of a conversation.

import { forgetHandles } from "./attachments.js";
import { requestBody } from "./request.js";
import { forgetSession, sessionId } from "./session.js";
import { asked } from "./status.js";
import { chatFrames } from "./stream.js";
import { pathTo } from "./tree.js";

/** Generates the content of a message. */
export class Run {
  #abort = new AbortController();
  #store;
  #onChange;
  #thinkingSince = null;

  /** The place in the queue, while there is one. */
  queued = null;

  /**
   * @param {object} conversation holds the message
   * @param {object} node the message, empty
   * @param {Store} store has the attached files
   * @param {(run: Run) => void} onChange called whenever the message changed
   */
  constructor(conversation, node, store, onChange) {
    this.conversation = conversation;
    this.node = node;
    this.#store = store;
    this.#onChange = onChange;
  }

  /** Generates until the end, whichever it is; never throws: the message has what went wrong. */
  async finish() {
    const { node } = this;
    Object.assign(node, { state: "running", content: "", thinking: "", toolCalls: [], error: null, stats: null });
    this.#onChange(this);
    try {
      await this.#generate();
      if (node.state === "running") node.state = "done";
    } catch (error) {
      node.state = error.name === "AbortError" ? "stopped" : "failed";
      if (node.state === "failed") node.error = { message: error.message, isLost: Boolean(error.isLost) };
    }
    this.queued = null;
    this.#endThinking();
    this.#onChange(this);
  }

  /** Stops; what there is so far stays. */
  stop() {
    this.#abort.abort();
  }

  async #generate() {
    const path = pathTo(this.conversation, this.conversation.nodes[this.node.parent]);
    try {
      await this.#read(path);
    } catch (error) {
      if (error.status !== 404) throw error;
      // The server has forgotten this visit or its files: they are made known again, once.
      forgetSession();
      forgetHandles(path.flatMap((node) => node.attachments ?? []));
      await this.#read(path);
    }
  }

  async #read(path) {
    // What suits the model is a part of the settings.
    await asked;
    const body = await requestBody(path, this.#store);
    this.#abort.signal.throwIfAborted();
    body.sessionId = await sessionId();
    for await (const frame of chatFrames(body, this.#abort.signal)) {
      this.#take(frame);
      this.#onChange(this);
    }
  }

  #take(frame) {
    const { node } = this;
    if (frame.queue_position !== undefined) {
      this.queued = frame.queue_position;
      return;
    }
    this.queued = null;
    if (frame.thinking) {
      this.#thinkingSince ??= performance.now();
      node.thinking += frame.thinking;
    }
    if (frame.token) {
      this.#endThinking();
      node.content += frame.token;
    }
    if (frame.tool_calls) node.toolCalls.push(...frame.tool_calls);
    if (frame.done) this.#end(frame);
  }

  #end(frame) {
    const { node } = this;
    node.stats = {
      tokens: frame.tokenCount,
      perSecond: frame.tokPerSec,
      firstToken: frame.ttft,
      elapsed: frame.elapsed,
      prompt: frame.promptTokens,
      cached: frame.kvReusedTokens,
      finish: frame.finishReason,
    };
    if (frame.error) {
      node.state = "failed";
      node.error = { message: frame.error, isLost: false };
    }
  }

  #endThinking() {
    if (this.#thinkingSince === null) return;
    this.node.thinkingMs = Math.round(performance.now() - this.#thinkingSince);
    this.#thinkingSince = null;
  }
}

// A streamed answer: the frames of `POST /api/chat`, one after the other.

import { ApiError, asJson, send } from "./api.js";

/**
 * Yields the frames of an answer; the last one has `done`.
 * @throws {ApiError} the server refused, or the connection broke before the last frame
 */
export async function* chatFrames(body, signal) {
  const response = await send("api/chat", asJson(body, { signal }));
  let isDone = false;
  try {
    for await (const line of linesOf(response.body)) {
      if (!line.startsWith("data:")) continue;
      const frame = JSON.parse(line.slice(5));
      isDone ||= Boolean(frame.done);
      yield frame;
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(error.message);
  }
  if (!isDone) throw new ApiError("the stream ended early");
}

async function* linesOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      yield* lines;
    }
  } finally {
    reader.releaseLock();
  }
  if (rest) yield rest;
}

// The server's JSON calls. Addresses are relative, so that the page works behind a path too.

/** A request that failed: the server's own words, or that it could not be reached (status 0). */
export class ApiError extends Error {
  /**
   * @param {string} message what was wrong
   * @param {number} status the status of the answer
   */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  /** Whether the server could not be reached, or the connection broke. */
  get isLost() {
    return this.status === 0;
  }
}

/**
 * Sends a request and returns the response.
 * @throws {ApiError} the server refused it or could not be reached; a stopped one throws AbortError
 */
export async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(error.message);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Returns the JSON of a GET. */
export const get = async (path) => (await send(path)).json();

/** Returns the JSON of a POST. */
export const post = async (path, body, options = {}) => (await send(path, asJson(body, options))).json();

/** Returns the options of a POST of JSON. */
export const asJson = (body, options = {}) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
  ...options,
});

/** Takes a file to the server; returns what the server made of it. */
export async function upload(file, name) {
  const form = new FormData();
  form.append("file", file, name);
  return (await send("api/upload", { method: "POST", body: form })).json();
}

// What stands between may answer too, such as a proxy: then the status says it all.
async function refusal(response) {
  try {
    const { error } = await response.json();
    if (typeof error === "string") return new ApiError(error, response.status);
  } catch {
    // Not JSON.
  }
  return new ApiError(`${response.status} ${response.statusText}`.trim(), response.status);
}

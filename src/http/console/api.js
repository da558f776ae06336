// Requests to the server of this page, and their errors.

const ROOT = "/console/v1";
/** The server answers each request within its own limit; beyond that and this the page gives up. */
const GRACE_MS = 5_000;

/** A request that failed. `code` is a word of docs/console-interface.md, or `unreachable` when no
 * answer came. */
export class ApiError extends Error {
  constructor(code, text, body = {}, isWrite = false) {
    super(text);
    this.code = code;
    this.body = body;
    const said = body.error?.may_have_executed;
    // A write whose answer was lost may have been executed.
    this.mayHaveExecuted = said ?? (isWrite && code === "unreachable");
  }
}

/** The requests of the page. */
export class Api {
  constructor(request = (url, options) => fetch(url, options)) {
    this.request = request;
    this.session = null;
  }

  /** The session, asked for once. */
  async openSession() {
    this.session ??= await this.get("/session");
    return this.session;
  }

  /** Asks for the session again: the server may have been restarted, and has another token then. */
  async renewSession() {
    this.session = await this.get("/session");
  }

  /** Reads. Parameters that are `null` are left out. */
  async get(path, params = {}, signal = undefined) {
    return this.send(address(path, params), { signal }, false);
  }

  /** Writes. The token of a server that was restarted is another one, and a write with the old one
   * was not executed, so it is sent again once. */
  async post(path, body) {
    try {
      return await this.postOnce(path, body);
    } catch (error) {
      if (error.code !== "token") throw error;
      this.session = null;
      return this.postOnce(path, body);
    }
  }

  async postOnce(path, body) {
    const { token } = await this.openSession();
    const headers = { "Content-Type": "application/json", "X-Coracle-Token": token };
    return this.send(ROOT + path, { method: "POST", headers, body: JSON.stringify(body) }, true);
  }

  async send(url, options, isWrite) {
    const limit = AbortSignal.timeout(
      (this.session?.limits.request_timeout_ms ?? 5_000) + GRACE_MS,
    );
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    let response;
    let answer;
    try {
      response = await this.request(url, { ...options, signal, cache: "no-store" });
      answer = await response.json();
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError("unreachable", "The server of this page did not answer.", {}, isWrite);
    }
    if (response.ok) return outcomeOf(answer);
    const { code = "internal", text = "The server refused the request." } = answer.error ?? {};
    throw new ApiError(code, text, answer, isWrite);
  }
}

/** The answer, unless the server decided against the command. */
function outcomeOf(answer) {
  const none = { error: { may_have_executed: false } };
  if (answer.conflict)
    throw new ApiError("conflict", "Somebody else has changed the key.", {
      ...none,
      current: answer.conflict,
    });
  if (answer.refused) throw new ApiError("refused", answer.refused, none);
  return answer;
}

/** The address of a path of the interface with its parameters. */
export function address(path, params) {
  const kept = Object.entries(params).filter(([, value]) => value != null);
  const query = new URLSearchParams(kept).toString();
  return ROOT + path + (query === "" ? "" : `?${query}`);
}

// Asks the API of the engine that serves this page. Knows the token; nobody else does.

const KEY = "tillstream.token";

/** Tells of `lag` (how far an answer is behind) and of `refused` (the token is nobody's). */
export const answers = new EventTarget();

/** Why a request was not answered as asked. */
export class Refusal extends Error {
  constructor(status, message, retryAfterMs = null) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the engine does not have what was asked for. */
  get isAbsent() {
    return this.status === 404;
  }
}

// for this tab alone, and gone with it
export const hasToken = () => sessionStorage.getItem(KEY) !== null;
export const keepToken = (token) => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);

export function get(path, signal) {
  return asked(path, { signal });
}

export function post(path, body) {
  const headers = { "content-type": "application/json" };
  return asked(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** A path with its parameters; those without a value are left out. */
export function pathOf(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

async function asked(path, options) {
  const response = await request(path, options);
  const answer = await response.json();
  if (answer.lag) tellLag(answer.lag);
  return answer;
}

/** The response to a request with the token. Throws a `Refusal` for any that is no success. */
export async function request(path, { headers, ...options }) {
  const authorization = `Bearer ${sessionStorage.getItem(KEY) ?? ""}`;
  const response = await sent(path, { ...options, cache: "no-store", headers: { ...headers, authorization } });
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (refusal.status === 401) answers.dispatchEvent(new CustomEvent("refused", { detail: refusal }));
  throw refusal;
}

async function sent(path, options) {
  try {
    return await fetch(path, options);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Refusal(0, "The engine cannot be reached.");
  }
}

async function refusalOf(response) {
  const problem = await response.json().catch(() => ({}));
  const detail = problem.detail ?? response.statusText;
  const seconds = Number(response.headers.get("retry-after")) || null;
  return new Refusal(response.status, sentence(response.status, problem.field ? `${problem.field} ${detail}` : detail), seconds && seconds * 1_000);
}

/** What is wrong, for people. */
function sentence(status, detail) {
  if (status === 401) return "This token is not known to the engine.";
  if (status === 403) return "The client of this token has no role that may do this. The page needs the role operator.";
  if (status === 429) return "More requests were made than this client may make.";
  return `${detail.charAt(0).toUpperCase()}${detail.slice(1)} (status ${status}).`;
}

export function tellLag(lag) {
  answers.dispatchEvent(new CustomEvent("lag", { detail: lag }));
}

// What happens, as the engine tells it: server-sent events over fetch, for EventSource cannot send the token.

import { Refusal, request, tellLag } from "/api.js";

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;
// the engine says how far it is behind every five seconds; silence that long means that the connection is dead
const SILENCE_MS = 30_000;

/** Tells each event by its name, and `state`: connecting, live, reconnecting, absent (no such route) or forbidden. */
export const news = new EventTarget();

let state = { name: "connecting" };
let stop = null;

export const streamState = () => state;

/** Follows the engine's events until `closeStream`. */
export function openStream() {
  closeStream();
  stop = new AbortController();
  follow(stop.signal);
}

export function closeStream() {
  stop?.abort();
  stop = null;
}

async function follow(signal) {
  enter({ name: "connecting" });
  for (let failures = 0; !signal.aborted; failures += 1) {
    let retryAfterMs = null;
    try {
      await readOnce(signal, () => { failures = 0; });
    } catch (fault) {
      if (signal.aborted) return;
      const final = finalStateOf(fault);
      if (final) {
        enter(final);
        return;
      }
      ({ retryAfterMs = null } = fault);
    }
    await waitToRetry(failures, retryAfterMs, signal);
  }
}

/** Where trying again is of no use. */
function finalStateOf(fault) {
  if (!(fault instanceof Refusal)) return null;
  const names = { 401: "forbidden", 403: "forbidden", 404: "absent" };
  return names[fault.status] ? { name: names[fault.status], message: fault.message } : null;
}

async function readOnce(signal, onLive) {
  const silence = new AbortController();
  const either = AbortSignal.any([signal, silence.signal]);
  const response = await request("/v1/stream", { signal: either, headers: { accept: "text/event-stream" } });
  onLive();
  enter({ name: "live" });
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  heard();
  try {
    await readEvents(response.body, heard);
  } finally {
    clearTimeout(timer);
  }
}

async function readEvents(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    blocks.forEach(tell);
  }
}

/** One event: lines of `field: value`. A line that begins with a colon is a sign of life and nothing else. */
function tell(block) {
  let name = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  if (!data.length) return;
  const detail = JSON.parse(data.join("\n"));
  if (name === "lag") tellLag(detail);
  else news.dispatchEvent(new CustomEvent(name, { detail }));
}

function waitToRetry(failures, retryAfterMs, signal) {
  // spread, so that many pages do not come back at once
  const spread = 0.75 + Math.random() / 2;
  const waitMs = retryAfterMs ?? Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures) * spread;
  enter({ name: "reconnecting", waitMs });
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

function enter(next) {
  state = next;
  news.dispatchEvent(new CustomEvent("state", { detail: next }));
}

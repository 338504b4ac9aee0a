// How a page of ours speaks to the service: JSON with the page's proof, and the service's clock beside it.

const PATIENCE = 8_000; // milliseconds until a request that is not answered counts as lost
const proof = document.querySelector('meta[name="proof"]')?.content ?? "";

// Nothing came back, or "try again": whether it was heard is not known, so it is to be said again with the same id.
export class Lost extends Error {}

// The service has said no, in a sentence for a person; `status` is HTTP's.
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "page-" + Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

// Milliseconds that this machine's clock is behind the service's; the best of what was heard is kept (the shortest way there and back).
let behind = 0;
let shortest = Infinity;

export const clock = { now: () => Date.now() + behind };

function heardAt(sent, now) {
  const back = Date.now();
  if (!now || back - sent > shortest) return;
  shortest = back - sent;
  behind = Date.parse(now) - (sent + back) / 2;
}

async function ask(address, options) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE);
  const sent = Date.now();
  try {
    const answer = await fetch(address, { ...options, signal: stop.signal, cache: "no-store", credentials: "same-origin" });
    if (answer.status >= 500 || answer.status === 408 || answer.status === 429) throw new Lost(String(answer.status));
    const body = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
    if (!answer.ok) throw new Refused(body.say || "没有办成，请回到聊天，重新打开页面再试。", answer.status);
    heardAt(sent, body.now);
    return body;
  } catch (wrong) {
    if (wrong instanceof Refused) throw wrong;
    throw new Lost(String(wrong));
  } finally {
    clearTimeout(timer);
  }
}

export const get = (address) => ask(address, { headers: { Accept: "application/json" } });

export const post = (address, body) =>
  ask(address, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-Proof": proof },
    body: JSON.stringify(body),
  });

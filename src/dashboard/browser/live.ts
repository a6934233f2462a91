/** The part of the page's script that asks the server and hears of changes. */
export const LIVE: string = String.raw`
/** After what time without an event the stream counts as lost. */
const SILENCE_MS = 20000;
/** After what time a tab that is not seen lets go of its stream. */
const HIDDEN_MS = 60000;
const RETRY_MS = 3000;
/** How long an answer may take. */
const ANSWER_MS = 15000;

/** An answer of the server that is no success. */
class AnswerError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks the server. @param {string} what @param {AbortSignal} signal */
async function ask(what, signal) {
  const either = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const response = await fetch("api/" + what, { signal: either });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (body.store) showStore(body.store);
    throw new AnswerError(response.status, body.detail ?? "");
  }
  setServerNow(body.now);
  showStore({ isOut: false });
  return body;
}

/** What stands in the banner, by what it is about. @type {Map<string, string>} */
const warnings = new Map();

/** Shows or ends a warning. @param {string} about @param {string} text */
function warn(about, text) {
  if (text === "") warnings.delete(about);
  else warnings.set(about, text);
  const banner = byId("banner");
  const words = [...warnings.values()].join(" ");
  banner.hidden = words === "";
  setText(banner, words);
  document.body.classList.toggle("old", words !== "");
}

/** @param {{ isOut: boolean, since?: number, reason?: string }} store */
function showStore(store) {
  const was = warnings.has("store");
  warn("store", store.isOut
    ? "The store has not answered since " + momentOf(store.since ?? 0) + ". This page shows its last " +
      "answers, and goes on by itself. " + plain(store.reason ?? "")
    : "");
  if (was && !store.isOut) {
    say("The store answers again.");
    refresh();
  }
}

/** @param {"live" | "connecting" | "lost"} how */
function showLive(how) {
  const live = byId("live");
  live.dataset.live = how;
  setText(live, { live: "Live", connecting: "Connecting", lost: "Not live" }[how]);
}

/** @type {EventSource | undefined} */
let stream;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let silence;
/** @type {number | undefined} */
let lostAt;

function connect() {
  clearTimeout(silence);
  stream?.close();
  const source = new EventSource("api/events");
  stream = source;
  const hear = (/** @type {string} */ name, /** @type {(data: any) => void} */ listener) => {
    source.addEventListener(name, (event) => {
      if (source !== stream) return;
      isHeard();
      listener(JSON.parse(event.data));
    });
  };
  hear("hello", (data) => {
    showStatus(data);
    // What happened before the stream began is read.
    refresh();
  });
  hear("beat", showStatus);
  hear("resync", (data) => {
    showStatus(data);
    if (data.changes) say(data.changes + " changes of circuits.");
    refresh();
  });
  hear("change", (/** @type {Change} */ change) => {
    sayChange(change);
    changedAt.set(change.storedKey, performance.now());
    if (changedAt.size > 1000) changedAt.clear();
    refresh();
  });
  source.addEventListener("error", () => {
    if (source !== stream) return;
    isLost();
    // The browser tries again by itself, but not after an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) later();
  });
  silence = setTimeout(silent, SILENCE_MS);
}

function later() {
  clearTimeout(silence);
  silence = setTimeout(connect, RETRY_MS);
}

function silent() {
  isLost();
  connect();
}

function isHeard() {
  clearTimeout(silence);
  silence = setTimeout(silent, SILENCE_MS);
  lostAt = undefined;
  warn("server", "");
  showLive("live");
}

function isLost() {
  lostAt ??= serverNow();
  showLive("lost");
  warn("server", "The dashboard's server has not answered since " + momentOf(lostAt) +
    ". This page shows its last answers, and goes on by itself.");
}

/** @param {{ now: number, store: { isOut: boolean } }} status */
function showStatus({ now, store }) {
  setServerNow(now);
  showStore(store);
}

/** @type {Change[]} */
let unsaid = [];

/** @param {Change} change */
function sayChange(change) {
  unsaid.push(change);
  if (unsaid.length > 1) return;
  setTimeout(() => {
    const [first] = unsaid;
    if (first !== undefined) {
      const who = first.actor ? " by " + plain(first.actor) : "";
      say(unsaid.length === 1
        ? plain(first.storedKey) + " is now " + first.to + ": " + first.cause + who + "."
        : unsaid.length + " changes of circuits.");
    }
    unsaid = [];
  }, 1000);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      clearTimeout(silence);
      stream?.close();
      stream = undefined;
      showLive("connecting");
    }, HIDDEN_MS);
  } else if (stream === undefined) connect();
});
`;

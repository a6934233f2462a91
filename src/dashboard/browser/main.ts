/** The part of the page's script that chooses the view by the address, and keeps it up to date. */
export const MAIN: string = String.raw`
/**
 * @typedef {{ root: HTMLElement, title: string, keeps: (params: URLSearchParams) => boolean,
 *   load: (signal: AbortSignal) => Promise<void> }} View
 */

/** How often counts are read again, which no event announces. */
const REFRESH_MS = 5000;
/** The shortest time between two reads. */
const PAUSE_MS = 500;

/** @type {View} */
let view = circuitsView(new URLSearchParams(location.search));
/** @type {AbortController | undefined} */
let loading;
let isWanted = false;
let loadedAt = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let next;

/** @param {string} words */
function setTitle(words) {
  const { title = "" } = document.body.dataset;
  const parts = [words, view.title, title].filter((each) => each !== "");
  document.title = parts.join(" · ");
}

/** Shows the view of the address. @param {boolean} isMoved whether a person went there */
function show(isMoved) {
  const params = new URLSearchParams(location.search);
  if (!view.root.isConnected || !view.keeps(params)) {
    const name = params.get("view");
    view = params.has("circuit") ? circuitView(params)
      : name === "changes" ? changesView(params)
      : name === "instances" ? instancesView(params)
      : circuitsView(params);
    byId("main").replaceChildren(view.root);
    if (isMoved) /** @type {HTMLElement | null} */ (view.root.querySelector("h1"))?.focus();
  }
  const current = params.has("circuit") ? "circuits" : params.get("view") ?? "circuits";
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.getAttribute("data-view") === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  setTitle("");
  loading?.abort();
  loading = undefined;
  void load();
}

/** Reads what the view shows. Reads do not overlap. */
async function load() {
  if (loading !== undefined) {
    isWanted = true;
    return;
  }
  clearTimeout(next);
  // A tab that is not seen reads again when it is.
  if (document.hidden && stream === undefined) return;
  const mine = new AbortController();
  loading = mine;
  isWanted = false;
  loadedAt = performance.now();
  try {
    await view.load(mine.signal);
    if (mine.signal.aborted) return;
    warn("answer", "");
    byId("main").dataset.loaded = "true";
  } catch (error) {
    if (mine.signal.aborted) return;
    explain(error);
  }
  loading = undefined;
  next = setTimeout(load, isWanted ? PAUSE_MS : REFRESH_MS);
}

/** Reads again soon, because something has changed. */
function refresh() {
  if (loading !== undefined) {
    isWanted = true;
    return;
  }
  clearTimeout(next);
  next = setTimeout(load, Math.max(0, loadedAt + PAUSE_MS - performance.now()));
}

/** @param {unknown} error */
function explain(error) {
  if (!(error instanceof AnswerError)) return; // the stream says that the server is lost
  if (error.status === 401 || error.status === 403) {
    warn("answer", "You may not see this any more. Load the page again to sign in.");
  } else if (error.status !== 503) {
    warn("answer", error.message || "The server answered with status " + error.status + ".");
  }
}

/** Changes the address without a step for the back button. @param {URLSearchParams} params */
function replaceAddress(params) {
  history.replaceState(null, "", "?" + params);
  show(false);
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const target = /** @type {Element} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (target.closest("a[data-nav]"));
  if (link === null) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  show(true);
  if (new URLSearchParams(location.search).has("after")) scrollTo(0, 0);
});
addEventListener("popstate", () => show(true));

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = /** @type {Element} */ (event.target);
  const search = document.getElementById("search");
  if (search === null || target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  search.focus();
});

show(false);
connect();
`;

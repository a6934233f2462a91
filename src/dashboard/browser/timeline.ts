/** The part of the page's script that draws what a circuit did as a line of time. */
export const TIMELINE: string = String.raw`
const SVG = "http://www.w3.org/2000/svg";
const WINDOWS = /** @type {[name: string, text: string, ms: number][]} */ ([
  ["1h", "1 hour", 3600000],
  ["24h", "24 hours", 86400000],
  ["7d", "7 days", 604800000],
  ["30d", "30 days", 2592000000],
]);

/** The time that the address asks for. @param {URLSearchParams} params */
function windowOf(params) {
  const wanted = params.get("since") ?? "24h";
  return /** @type {[string, string, number]} */ (WINDOWS.find(([name]) => name === wanted) ?? WINDOWS[1]);
}

/** Links that choose the time. @param {URLSearchParams} params */
function windowChoices(params) {
  const box = h("div", { class: "choices", role: "group", "aria-label": "Time" });
  const [chosen] = windowOf(params);
  for (const [name, text] of WINDOWS) {
    const wanted = new URLSearchParams(params);
    wanted.set("since", name);
    const link = h("a", { "data-nav": "", href: "?" + wanted }, text);
    if (name === chosen) link.setAttribute("aria-current", "true");
    box.append(link);
  }
  return box;
}

/** The states of a circuit one after the other.
 * @param {Change[]} changes the oldest first
 * @param {State} present
 * @param {number} from
 * @param {number} now
 */
function spansOf(changes, present, from, now) {
  const spans = /** @type {{ state: State, from: number, to: number }[]} */ ([]);
  let state = changes[0] ? changes[0].from : present;
  let begin = from;
  for (const change of changes) {
    if (change.to === state) continue;
    const at = Math.min(now, Math.max(begin, change.at));
    spans.push({ state, from: begin, to: at });
    state = change.to;
    begin = at;
  }
  spans.push({ state, from: begin, to: now });
  return spans;
}

/** @param {string} name @param {Record<string, string>} attributes */
function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** How often and how long a circuit was open, in words. @param {ReturnType<typeof spansOf>} spans */
function spanWords(spans) {
  const away = spans.filter(({ state }, i) => state !== "closed" && (i === 0 || spans[i - 1]?.state === "closed"));
  const ms = spans.filter(({ state }) => state !== "closed").reduce((sum, each) => sum + each.to - each.from, 0);
  if (away.length === 0) return "It was closed all the time.";
  const times = away.length === 1 ? "once" : away.length + " times";
  return "It left the state closed " + times + ", for " + durationOf(ms) + " in all.";
}

/** Draws the line. @param {HTMLElement} box @param {Change[]} changes @param {State} present
 * @param {number} from @param {number} now
 */
function drawTimeline(box, changes, present, from, now) {
  const spans = spansOf(changes, present, from, now);
  const place = (/** @type {number} */ ms) => 1000 * (ms - from) / Math.max(1, now - from);
  const words = spanWords(spans);
  const line = svg("svg", {
    viewBox: "0 0 1000 40", preserveAspectRatio: "none", role: "img",
    "aria-label": "From " + momentOf(from) + " to " + momentOf(now) + ". " + words + " The table has each change.",
  });
  const ordered = [...spans.filter(({ state }) => state === "closed"), ...spans.filter(({ state }) => state !== "closed")];
  for (const span of ordered) {
    const heights = { closed: 8, "half-open": 22, open: 40 };
    const height = heights[span.state];
    const rect = svg("rect", {
      class: span.state, x: String(place(span.from)), y: String(40 - height), height: String(height),
      // A short opening is visible too.
      width: String(Math.max(span.state === "closed" ? 0 : 2, place(span.to) - place(span.from))),
    });
    const title = svg("title", {});
    title.textContent = span.state + " for " + durationOf(span.to - span.from) + " from " + momentOf(span.from);
    rect.append(title);
    line.append(rect);
  }
  for (const change of changes) {
    if (!["force", "release", "reset"].includes(change.cause)) continue;
    line.append(svg("rect", { class: "act", x: String(place(change.at) - 1), y: "0", width: "2", height: "40" }));
  }
  const axis = h("p", { class: "axis", "aria-hidden": "true" });
  for (let i = 0; i <= 4; i++) {
    axis.append(h("span", {}, i === 4 ? "now" : momentOf(from + (now - from) * i / 4)));
  }
  const legend = h("p", { class: "legend", "aria-hidden": "true" });
  for (const state of ["open", "half-open", "closed"]) {
    legend.append(h("span", {}, h("span", { class: "swatch " + state }), state));
  }
  legend.append(h("span", {}, h("span", { class: "swatch act" }), "an operator acts"));
  box.replaceChildren(h("p", { class: "summary" }, words), line, axis, legend);
}
`;

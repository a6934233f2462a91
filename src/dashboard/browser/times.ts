/** The part of the page's script that shows times, which pass while the page is looked at. */
export const TIMES: string = String.raw`
/** By how much the server's clock is ahead of this one's. */
let clockAhead = 0;

function serverNow() {
  return Date.now() + clockAhead;
}

/** @param {number} now */
function setServerNow(now) {
  clockAhead = now - Date.now();
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, "0");
}

/** @param {number} ms */
function clockOf(ms) {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** @param {number} ms */
function dayOf(ms) {
  const date = new Date(ms);
  return [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
}

/** A moment: the time of a day, with the day unless it is today.
 * @param {number} ms
 */
function momentOf(ms) {
  return dayOf(ms) === dayOf(serverNow()) ? clockOf(ms) : dayOf(ms) + " " + clockOf(ms);
}

/** A duration in its two largest units.
 * @param {number} ms
 */
function durationOf(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const units = /** @type {[number, string][]} */ ([
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ]);
  const first = units.findIndex(([count]) => count > 0);
  if (first === -1) return "0s";
  return units.slice(first, first + 2).filter(([count]) => count > 0)
    .map(([count, unit]) => count + unit).join(" ");
}

/** A moment that is shown as it is. @param {number} ms */
function momentNode(ms) {
  if (!(ms > 0)) return h("span", {}, "");
  const date = new Date(ms);
  const iso = Number.isNaN(date.getTime()) ? "" : date.toISOString();
  return h("time", { datetime: iso, title: iso }, momentOf(ms));
}

/** A moment and how long ago it was, which is kept up to date. @param {number} ms */
function ageNode(ms) {
  if (!(ms > 0)) return h("span", {}, "");
  return h("span", {}, h("span", { "data-age": String(ms) }, durationOf(serverNow() - ms)), " ",
    h("span", { class: "faint" }, momentNode(ms)));
}

/** A countdown. @param {string} before @param {number} until @param {string} due */
function countdownNode(before, until, due) {
  const attributes = { "data-until": String(until), "data-before": before, "data-due": due };
  const node = h("span", attributes, "");
  tick(node);
  return node;
}

/** @param {Element} node */
function tick(node) {
  const element = /** @type {HTMLElement} */ (node);
  const { age, until, before = "", due = "" } = element.dataset;
  if (age !== undefined) setText(element, durationOf(serverNow() - Number(age)));
  if (until === undefined) return;
  const left = Number(until) - serverNow();
  setText(element, left > 0 ? before + durationOf(left) : due);
}

setInterval(() => {
  for (const node of document.querySelectorAll("[data-age], [data-until]")) tick(node);
}, 1000);
`;

/** The part of the page's script that makes elements and shows texts from outside. */
export const ELEMENTS: string = String.raw`
/**
 * @typedef {"closed" | "open" | "half-open"} State
 * @typedef {{ state: "open" | "closed", since: number, until?: number, reason?: string, by?: string }} Force
 * @typedef {{ storedKey: string, state: State, failureCount: number, successCount: number,
 *   lastFailureTime: number, lastStateChange: number, version: number, openedAt: number, retryAt?: number,
 *   forced?: Force, votes: string[], refusedCount: number, cause: string, actor: string,
 *   reason?: string }} Circuit
 * @typedef {{ storedKey: string, from: State, to: State, version: number, at: number, cause: string,
 *   actor: string, role: string, reason?: string, failureCount: number, successCount: number,
 *   cursor: string }} Change
 */

/** Makes an element. Texts become text nodes, so no text from outside is ever read as HTML.
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An element of the page's frame.
 * @param {string} id
 * @returns {HTMLElement}
 */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** Characters that hide, reorder or end a line, and blanks that look alike. */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;

/** @param {string} letter */
function escapeOf(letter) {
  const code = /** @type {number} */ (letter.codePointAt(0));
  if (code === 10) return "\\n";
  if (code === 9) return "\\t";
  if (code === 13) return "\\r";
  const hex = code.toString(16).toUpperCase();
  return code <= 0xff ? "\\x" + hex.padStart(2, "0") : "\\u{" + hex + "}";
}

/** A text from outside in one line of plain letters.
 * @param {string} text
 */
function plain(text) {
  return text.replace(UNSAFE, escapeOf);
}

/** A text from outside. What cannot be seen is made visible.
 * @param {string} text
 */
function shown(text) {
  const box = h("bdi", { class: "outside", dir: "ltr" });
  let end = 0;
  for (const match of text.matchAll(UNSAFE)) {
    box.append(text.slice(end, match.index));
    box.append(h("span", { class: "escape" }, escapeOf(match[0])));
    end = match.index + match[0].length;
  }
  box.append(text.slice(end));
  if (text === "") box.append(h("span", { class: "escape" }, "empty"));
  return box;
}

/** A circuit's key. One that the database cannot hold is a beginning and a digest.
 * @param {string} storedKey
 */
function keyNode(storedKey) {
  const box = h("span", { class: "key" });
  const digested = /^([^]*)~sha256:([0-9a-f]{64})(~observed)?$/.exec(storedKey);
  const observed = storedKey.endsWith("~observed");
  const text = digested ? digested[1] : observed ? storedKey.slice(0, -9) : storedKey;
  box.append(shown(text ?? ""));
  if (digested) {
    const mark = h("span", { class: "badge" }, "digest " + (digested[2] ?? "").slice(0, 8));
    mark.title = "The key is too long, or has characters that the database cannot hold.";
    box.append(" ", mark);
  }
  if (observed) {
    const mark = h("span", { class: "badge" }, "observed");
    mark.title = "Instances only observe this circuit: no request is refused.";
    box.append(" ", mark);
  }
  return box;
}

/** @param {string} storedKey */
function circuitAddress(storedKey) {
  return "?" + new URLSearchParams({ circuit: storedKey });
}

/** A state as a word and a shape: colour alone would not be enough.
 * @param {State} state
 * @param {boolean} isForced
 */
function stateNode(state, isForced) {
  const box = h("span", { class: "state " + state });
  box.append(h("span", { class: "shape", "aria-hidden": "true" }), state);
  if (isForced) box.append(h("span", { class: "by-force" }, " forced"));
  return box;
}

/** A table for reading. The roles are named, because a narrow screen shows rows as cards.
 * @param {string} label
 * @param {string[]} titles
 */
function tableNode(label, titles) {
  const head = h("tr", { role: "row" });
  for (const title of titles) {
    head.append(h("th", { role: "columnheader", scope: "col", "data-of": slug(title) }, title));
  }
  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { role: "table", "aria-label": label });
  table.append(h("thead", { role: "rowgroup" }, head), body);
  return { table, body };
}

/** @param {string} title */
function slug(title) {
  return title.toLowerCase().replaceAll(" ", "-");
}

/** @param {string} title
 * @param {...(Node | string)} children
 */
function cell(title, ...children) {
  return h("td", { role: "cell", "data-of": slug(title), "data-title": title }, ...children);
}

/** When an event said that a circuit has changed. @type {Map<string, number>} */
const changedAt = new Map();
const HIGHLIGHT_MS = 5000;

/** @type {WeakMap<Element, string>} */
const drawn = new WeakMap();

/** Brings rows up to date. A row stays the same element, so focus and selection stay too.
 * @template T
 * @param {HTMLElement} body
 * @param {T[]} items
 * @param {(item: T) => string} nameOf
 * @param {(item: T) => HTMLElement[]} cellsOf
 */
function drawRows(body, items, nameOf, cellsOf) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const holder = focused === null ? null : focused.closest("tr");
  const old = new Map([...body.children].map((row) => [row.getAttribute("data-name"), row]));
  items.forEach((item, index) => {
    const name = nameOf(item);
    const text = JSON.stringify(item);
    const row = old.get(name) ?? h("tr", { role: "row", "data-name": name });
    if (drawn.get(row) !== text) {
      row.replaceChildren(...cellsOf(item));
      const age = performance.now() - (changedAt.get(name) ?? -Infinity);
      row.classList.toggle("changed", age < HIGHLIGHT_MS);
      drawn.set(row, text);
    }
    old.delete(name);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  for (const row of old.values()) row.remove();
  if (holder !== null && holder.isConnected && document.activeElement !== focused) {
    /** @type {HTMLElement | null} */ (holder.querySelector("a"))?.focus({ preventScroll: true });
  }
}

/** Replaces what an element shows, unless it shows that already.
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says something to screen readers.
 * @param {string} text
 */
function say(text) {
  byId("said").textContent = text;
}
`;

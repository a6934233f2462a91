/** The part of the page's script that shows the list of circuits. */
export const CIRCUITS: string = String.raw`
/** Since when a circuit is as it is: an outage began when it opened, not at its last failed probe.
 * @param {Circuit} circuit
 */
function sinceOf({ forced, state, openedAt, lastStateChange }) {
  if (forced) return forced.since;
  return state !== "closed" && openedAt > 0 ? openedAt : lastStateChange;
}

/** @param {Circuit} circuit */
function whyNode(circuit) {
  const { forced, cause, actor, reason, votes } = circuit;
  const box = h("span", { class: "why" });
  const why = forced ? "force" : cause;
  const who = forced ? forced.by : actor;
  const said = forced ? forced.reason : reason;
  if (why) box.append(h("span", { class: "cause" }, why));
  if (who) box.append(" by ", shown(who));
  if (said) box.append(": ", h("q", {}, shown(said)));
  if (votes.length > 0) {
    box.append(why ? ", " : "", votesNode(votes));
  }
  return box;
}

/** @param {string[]} votes */
function votesNode(votes) {
  const node = h("span", { class: "badge warn" });
  node.append((votes.length === 1 ? "1 vote" : votes.length + " votes") + " to open: ");
  votes.slice(0, 3).forEach((vote, i) => node.append(i > 0 ? ", " : "", shown(vote)));
  if (votes.length > 3) node.append(", and " + (votes.length - 3) + " more");
  return node;
}

/** @param {Circuit} circuit */
function failuresText({ failureCount, successCount }) {
  const total = failureCount + successCount;
  if (failureCount === 0) return "";
  const share = Math.round(failureCount * 1000 / total) / 10;
  return failureCount + " of " + total + " (" + share + " %)";
}

/** What happens next, and when. @param {Circuit} circuit */
function nextNode({ forced, state, retryAt }) {
  if (forced) {
    return forced.until === undefined
      ? h("span", {}, "until released")
      : countdownNode("ends in ", forced.until, "ends now");
  }
  if (state === "closed" || retryAt === undefined) return h("span", {});
  return countdownNode(state === "open" ? "probe in " : "probing, again in ", retryAt, "probe is due");
}

/** @param {Circuit} circuit */
function circuitCells(circuit) {
  const { storedKey, state, forced, refusedCount } = circuit;
  const link = h("a", { "data-nav": "", href: circuitAddress(storedKey) }, keyNode(storedKey));
  return [
    cell("State", stateNode(forced ? forced.state : state, forced !== undefined)),
    cell("Circuit", link),
    cell("Since", ageNode(sinceOf(circuit))),
    cell("Why", whyNode(circuit)),
    cell("Failures", failuresText(circuit)),
    cell("Refused", refusedCount > 0 ? refusedCount.toLocaleString("en") : ""),
    cell("Next", nextNode(circuit)),
  ];
}

/** @param {{ open: number, halfOpen: number, most: number }} counts */
function countWords({ open, halfOpen, most }) {
  const words = (/** @type {number} */ count) => count >= most ? most.toLocaleString("en") + " or more" : String(count);
  return { open: words(open), halfOpen: words(halfOpen) };
}

const STATES = /** @type {[name: string, text: string][]} */ ([
  ["", "All"], ["open", "Open"], ["half-open", "Half-open"], ["closed", "Closed"],
]);

/** The view of all circuits. @param {URLSearchParams} params */
function circuitsView(params) {
  const search = /** @type {HTMLInputElement} */ (h("input", {
    id: "search", type: "search", autocomplete: "off", spellcheck: "false",
    placeholder: "for instance /api/",
  }));
  search.value = params.get("q") ?? "";
  const states = h("div", { class: "choices", role: "group", "aria-label": "State" });
  const counted = /** @type {Map<string, HTMLElement>} */ (new Map());
  for (const [name, text] of STATES) {
    const link = h("a", { "data-nav": "" }, text);
    const count = h("span", { class: "count" });
    if (name === "open" || name === "half-open") link.append(" ", count);
    counted.set(name, count);
    states.append(link);
    link.dataset.state = name;
  }
  const { table, body } = tableNode("Circuits", [
    "State", "Circuit", "Since", "Why", "Failures", "Refused", "Next",
  ]);
  table.classList.add("circuits");
  const empty = h("div", { class: "empty" });
  const pages = h("nav", { class: "pages", "aria-label": "Pages" });
  const root = h("div", {},
    h("h1", { tabindex: "-1" }, "Circuits"),
    h("form", { class: "tools", role: "search" },
      h("label", { for: "search" }, "Keys that begin with"), search, states),
    table, empty, pages);
  table.hidden = true;
  root.querySelector("form")?.addEventListener("submit", (event) => event.preventDefault());
  setUp(states, params);

  /** @param {HTMLElement} group @param {URLSearchParams} current */
  function setUp(group, current) {
    for (const link of group.children) {
      const name = /** @type {HTMLElement} */ (link).dataset.state ?? "";
      const wanted = new URLSearchParams();
      if (name) wanted.set("state", name);
      if (current.get("q")) wanted.set("q", current.get("q") ?? "");
      link.setAttribute("href", "?" + wanted);
      if (name === (current.get("state") ?? "")) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const wanted = new URLSearchParams(location.search);
      wanted.delete("after");
      if (search.value === "") wanted.delete("q");
      else wanted.set("q", search.value);
      replaceAddress(wanted);
    }, 200);
  });

  return {
    root,
    title: "",
    /** @param {URLSearchParams} current */
    keeps: (current) => !current.has("circuit") && !current.get("view"),
    async load(/** @type {AbortSignal} */ signal) {
      const current = new URLSearchParams(location.search);
      const asked = new URLSearchParams();
      for (const name of ["state", "q", "after"]) {
        const value = current.get(name);
        if (value) asked.set(name, value);
      }
      const answer = await ask("circuits?" + asked, signal);
      setUp(states, current);
      if (document.activeElement !== search) search.value = current.get("q") ?? "";
      const words = countWords(answer.counts);
      setText(/** @type {HTMLElement} */ (counted.get("open")), words.open);
      setText(/** @type {HTMLElement} */ (counted.get("half-open")), words.halfOpen);
      const { open } = answer.counts;
      setTitle(open > 0 ? words.open + " open" : "");
      drawRows(body, /** @type {Circuit[]} */ (answer.circuits), (each) => each.storedKey, circuitCells);
      table.hidden = answer.circuits.length === 0;
      drawEmpty(empty, current, answer.circuits.length);
      drawPages(pages, current, answer.next, answer.circuits.length);
    },
  };
}

/** @param {HTMLElement} box @param {URLSearchParams} params @param {number} count */
function drawEmpty(box, params, count) {
  box.hidden = count > 0;
  const key = params.get("q") ?? "";
  const state = params.get("state");
  const what = state ? "No circuit is " + state : "No circuit has anything to remember";
  const text = key ? "No such circuit begins with “" + plain(key) + "”." : what + ".";
  if (box.getAttribute("data-text") === text) return;
  box.setAttribute("data-text", text);
  box.replaceChildren(h("p", {}, text));
  if (key && !state) {
    const link = h("a", { "data-nav": "", href: circuitAddress(key) }, "Show the circuit ", keyNode(key));
    box.append(h("p", {}, "A circuit without failures has nothing to list. ", link));
  }
}

/** @param {HTMLElement} box @param {URLSearchParams} params @param {string | undefined} next @param {number} count */
function drawPages(box, params, next, count) {
  const text = JSON.stringify([params.toString(), next, count]);
  if (box.dataset.drawn === text) return;
  const had = box.contains(document.activeElement) ? document.activeElement?.textContent : null;
  box.dataset.drawn = text;
  box.replaceChildren();
  const first = new URLSearchParams(params);
  first.delete("after");
  if (params.has("after")) box.append(h("a", { "data-nav": "", href: "?" + first }, "First page"));
  box.append(h("span", { class: "faint" }, count === 1 ? "1 circuit" : count + " circuits",
    next || params.has("after") ? " on this page" : ""));
  if (next) {
    const following = new URLSearchParams(params);
    following.set("after", next);
    box.append(h("a", { "data-nav": "", href: "?" + following, rel: "next" }, "Next page"));
  }
  if (had) [...box.querySelectorAll("a")].find((link) => link.textContent === had)?.focus();
}
`;

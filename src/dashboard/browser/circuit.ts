/** The part of the page's script that shows one circuit and its history. */
export const CIRCUIT: string = String.raw`
/** @param {Circuit | null} circuit */
function factsOf(circuit) {
  const facts = /** @type {[string, Node | string][]} */ ([]);
  if (circuit === null) return facts;
  const { state, forced, cause, actor, reason, votes, refusedCount, lastFailureTime, lastStateChange } = circuit;
  const isAway = state !== "closed";
  facts.push(["Since", ageNode(sinceOf(circuit))]);
  if (forced) {
    facts.push(["Forced by", forced.by ? shown(forced.by) : "unknown"]);
    facts.push(["Reason", forced.reason ? shown(forced.reason) : "none given"]);
    facts.push(["Ends", forced.until === undefined ? "when it is released" : h("span", {},
      countdownNode("in ", forced.until, "now"), " ", h("span", { class: "faint" }, momentNode(forced.until)))]);
  } else {
    facts.push(["Why", cause || "no change is kept"]);
    if (actor) facts.push(["Who", shown(actor)]);
    if (reason) facts.push(["Reason", shown(reason)]);
  }
  if (isAway && circuit.retryAt !== undefined && !forced) facts.push(["Next", nextNode(circuit)]);
  if (isAway && circuit.openedAt > 0 && circuit.openedAt !== lastStateChange && !forced) {
    facts.push(["Last change", ageNode(lastStateChange)]);
  }
  facts.push(["Failures", failuresText(circuit) || "0"]);
  facts.push(["Refused requests", refusedCount.toLocaleString("en")]);
  if (votes.length > 0) {
    const list = h("span", {});
    votes.forEach((vote, i) => list.append(i > 0 ? ", " : "", shown(vote)));
    facts.push(["Votes to open", list]);
  }
  if (lastFailureTime > 0) facts.push(["Last failure", ageNode(lastFailureTime)]);
  facts.push(["Version", String(circuit.version)]);
  return facts;
}

/** @param {Change} change */
function moveNode({ from, to }) {
  if (from === to) return h("span", {}, stateNode(to, false), h("span", { class: "faint" }, " as before"));
  return h("span", { class: "move" }, h("span", { class: "faint" }, from + " →"), " ", stateNode(to, false));
}

/** @param {Change} change */
function actorNode({ actor, role }) {
  const box = h("span", {});
  if (actor) box.append(shown(actor));
  if (role) box.append(actor ? " " : "", h("span", { class: "faint" }, "role ", shown(role)));
  return box;
}

/** @param {Change} change */
function changeCells(change) {
  return [
    cell("Time", momentNode(change.at)),
    cell("Change", moveNode(change)),
    cell("Cause", change.cause),
    cell("Who", actorNode(change)),
    cell("Reason", change.reason ? shown(change.reason) : ""),
    cell("Failures", change.failureCount > 0 ? String(change.failureCount) : ""),
  ];
}

/** The view of one circuit. @param {URLSearchParams} params */
function circuitView(params) {
  const storedKey = params.get("circuit") ?? "";
  const state = h("span", { class: "now" });
  const facts = h("dl", { class: "facts" });
  const nothing = h("p", { class: "empty" },
    "The store has nothing to remember of this circuit: it is closed, without failures.");
  const line = h("div", { class: "timeline" });
  const note = h("p", { class: "faint" });
  const { table, body } = tableNode("Changes of this circuit", [
    "Time", "Change", "Cause", "Who", "Reason", "Failures",
  ]);
  const choices = h("div", { class: "tools" }, h("h2", {}, "History"), windowChoices(params));
  const buttons = h("div", { class: "buttons acts" });
  const root = h("div", { class: "one" },
    h("p", { class: "back" }, h("a", { "data-nav": "", href: "?" }, "← All circuits")),
    h("h1", { tabindex: "-1" }, keyNode(storedKey), " ", state),
    facts, nothing, buttons, choices, line, table, note);
  nothing.hidden = true;
  table.hidden = true;
  let acts = "";

  return {
    root,
    title: plain(storedKey).slice(0, 80),
    /** @param {URLSearchParams} current */
    keeps: (current) => current.get("circuit") === storedKey &&
      windowOf(current)[0] === windowOf(params)[0],
    async load(/** @type {AbortSignal} */ signal) {
      const [, , windowMs] = windowOf(params);
      const query = new URLSearchParams({ key: storedKey });
      const history = new URLSearchParams({ key: storedKey, windowMs: String(windowMs), limit: "500" });
      const [one, past] = await Promise.all([
        ask("circuit?" + query, signal),
        ask("changes?" + history, signal),
      ]);
      const circuit = /** @type {Circuit | null} */ (one.circuit);
      const changes = /** @type {Change[]} */ (past.changes);
      const present = /** @type {State} */ (circuit?.forced?.state ?? circuit?.state ?? "closed");
      const isForced = circuit?.forced !== undefined;
      state.replaceChildren(stateNode(present, isForced));
      const list = factsOf(circuit).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
      facts.replaceChildren(...list);
      facts.hidden = list.length === 0;
      nothing.hidden = circuit !== null;
      const wanted = JSON.stringify([isForced, circuit === null]);
      if (wanted !== acts) {
        acts = wanted;
        drawActs(buttons, storedKey, isForced, circuit !== null);
      }
      const isCut = past.total > changes.length;
      const from = isCut && changes[0] ? changes[0].at : past.since;
      drawTimeline(line, changes, present, from, past.now);
      const newest = [...changes].reverse();
      drawRows(body, newest, (each) => each.cursor, changeCells);
      table.hidden = changes.length === 0;
      setText(note, isCut
        ? "These are the newest " + changes.length + " of " + past.total.toLocaleString("en") + " changes."
        : changes.length === 0 ? "The log has no change in this time." : "");
    },
  };
}
`;

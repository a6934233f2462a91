/** The part of the page's script that shows the changes of all circuits, and the instances. */
export const CHANGES: string = String.raw`
/** @param {Change} change */
function fleetChangeCells(change) {
  const link = h("a", { "data-nav": "", href: circuitAddress(change.storedKey) }, keyNode(change.storedKey));
  const [time, ...rest] = changeCells(change);
  return [/** @type {HTMLElement} */ (time), cell("Circuit", link), ...rest];
}

/** The view of what happened. @param {URLSearchParams} params */
function changesView(params) {
  const { table, body } = tableNode("Changes", [
    "Time", "Circuit", "Change", "Cause", "Who", "Reason", "Failures",
  ]);
  table.classList.add("changes");
  const note = h("p", { class: "faint note" });
  const root = h("div", {},
    h("div", { class: "tools" }, h("h1", { tabindex: "-1" }, "Changes"), windowChoices(params)), table, note);
  table.hidden = true;
  return {
    root,
    title: "Changes",
    /** @param {URLSearchParams} current */
    keeps: (current) => !current.has("circuit") && current.get("view") === "changes" &&
      windowOf(current)[0] === windowOf(params)[0],
    async load(/** @type {AbortSignal} */ signal) {
      const [, text, windowMs] = windowOf(params);
      const query = new URLSearchParams({ windowMs: String(windowMs), limit: "500" });
      const { changes, total } = await ask("changes?" + query, signal);
      drawRows(body, /** @type {Change[]} */ ([...changes].reverse()), (each) => each.cursor, fleetChangeCells);
      table.hidden = changes.length === 0;
      setText(note, changes.length === 0
        ? "No circuit changed in the last " + text + "."
        : total > changes.length
        ? "These are the newest " + changes.length + " of " + total.toLocaleString("en") + " changes."
        : changes.length === 1 ? "1 change." : changes.length + " changes.");
    },
  };
}

/**
 * @typedef {{ id: string, label: string, libraryVersion: string, maxStalenessMs: number,
 *   lastSeenAt: number }} Instance
 */

/** @param {Instance} instance */
function instanceCells({ id, label, libraryVersion, maxStalenessMs, lastSeenAt }) {
  return [
    cell("Instance", h("span", { class: "key" }, shown(label))),
    cell("Last seen", ageNode(lastSeenAt)),
    cell("Version", shown(libraryVersion)),
    cell("Staleness", maxStalenessMs > 0 ? "at most " + maxStalenessMs + " ms" : "none: it asks the database"),
    cell("Id", h("span", { class: "faint" }, shown(id))),
  ];
}

/** The view of the fleet. @param {URLSearchParams} _params */
function instancesView(_params) {
  const { table, body } = tableNode("Instances", ["Instance", "Last seen", "Version", "Staleness", "Id"]);
  table.classList.add("instances");
  const note = h("p", { class: "faint note" });
  const root = h("div", {}, h("h1", { tabindex: "-1" }, "Instances"), table, note);
  table.hidden = true;
  return {
    root,
    title: "Instances",
    /** @param {URLSearchParams} current */
    keeps: (current) => !current.has("circuit") && current.get("view") === "instances",
    async load(/** @type {AbortSignal} */ signal) {
      const { instances } = await ask("instances", signal);
      drawRows(body, /** @type {Instance[]} */ (instances), (each) => each.id, instanceCells);
      table.hidden = instances.length === 0;
      const count = instances.length === 1 ? "1 instance was" : instances.length + " instances were";
      setText(note, count + " seen in the last 15 minutes.");
    },
  };
}
`;

/** The part of the page's script that lets an operator act: a dialog says what will happen. */
export const ACTING: string = String.raw`
const mayAct = document.body.dataset.mayAct === "true";

/** @typedef {"open" | "close" | "release" | "reset"} Action */

/** What each act does, and what its buttons say.
 * @type {Record<Action, { button: string, title: string, confirm: string, effect: string, hasEnd: boolean }>}
 */
const ACTS = {
  open: {
    button: "Open…",
    title: "Open",
    confirm: "Open the circuit",
    effect: "All instances refuse every request of this circuit, whatever probes report, until the time is " +
      "over or an operator releases it.",
    hasEnd: true,
  },
  close: {
    button: "Close…",
    title: "Close",
    confirm: "Close the circuit",
    effect: "All instances let every request of this circuit through, also while the upstream fails, until the " +
      "time is over or an operator releases it.",
    hasEnd: true,
  },
  release: {
    button: "Release…",
    title: "Release",
    confirm: "Release the circuit",
    effect: "The forced state ends. The circuit goes on in the state that it had before, and works by itself again.",
    hasEnd: false,
  },
  reset: {
    button: "Reset…",
    title: "Reset",
    confirm: "Reset the circuit",
    effect: "All instances forget the failures, the votes and the forced state of this circuit. It is closed, and " +
      "requests go through. The log keeps its changes.",
    hasEnd: false,
  },
};

/** The buttons of a circuit. @param {HTMLElement} box @param {string} storedKey @param {boolean} isForced
 * @param {boolean} isKnown
 */
function drawActs(box, storedKey, isForced, isKnown) {
  box.hidden = !mayAct;
  if (!mayAct) return;
  const offered = /** @type {Action[]} */ (["open", "close"]);
  if (isForced) offered.unshift("release");
  if (isKnown) offered.push("reset");
  box.replaceChildren(...offered.map((action) => {
    const button = h("button", { type: "button", "data-action": action }, ACTS[action].button);
    button.addEventListener("click", () => openDialog(action, storedKey));
    return button;
  }));
}

/** @type {{ action: Action, storedKey: string } | undefined} */
let asked;

/** @param {Action} action @param {string} storedKey */
function openDialog(action, storedKey) {
  const { title, confirm, effect, hasEnd } = ACTS[action];
  asked = { action, storedKey };
  byId("act-title").replaceChildren(title + " ", keyNode(storedKey), "?");
  byId("act-effect").textContent = effect;
  byId("act-for-row").hidden = !hasEnd;
  byId("act-confirm").textContent = confirm;
  byId("act-confirm").className = action === "release" ? "primary" : "primary danger";
  byId("act-problem").textContent = "";
  /** @type {HTMLInputElement} */ (byId("act-reason")).value = "";
  /** @type {HTMLSelectElement} */ (byId("act-for")).value = "";
  /** @type {HTMLDialogElement} */ (byId("act")).showModal();
  byId("act-reason").focus();
}

if (mayAct) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("act"));
  const confirm = /** @type {HTMLButtonElement} */ (byId("act-confirm"));
  byId("act-cancel").addEventListener("click", () => dialog.close());
  dialog.querySelector("form")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (asked === undefined || confirm.disabled) return;
    const { action, storedKey } = asked;
    const reason = /** @type {HTMLInputElement} */ (byId("act-reason")).value.trim();
    const end = /** @type {HTMLSelectElement} */ (byId("act-for")).value;
    if (reason === "") {
      byId("act-problem").textContent = "Other operators need a reason.";
      return;
    }
    confirm.disabled = true;
    byId("act-problem").textContent = "";
    try {
      await sendAct({ action, storedKey, reason, ...ACTS[action].hasEnd && end && { forMs: Number(end) } });
      dialog.close();
      say(ACTS[action].confirm + ": done.");
      refresh();
    } catch (error) {
      byId("act-problem").textContent = error instanceof Error ? error.message : String(error);
    } finally {
      confirm.disabled = false;
    }
  });
}

/** @param {object} act */
async function sendAct(act) {
  let response;
  try {
    response = await fetch("api/act", {
      method: "POST",
      headers: { "content-type": "application/json", "x-circuit-breaker-act": "1" },
      body: JSON.stringify(act),
    });
  } catch {
    throw new Error("The dashboard's server did not answer. Look whether the circuit changed.");
  }
  if (response.ok) return;
  const said = await response.json().catch(() => ({}));
  const isUnknown = response.status >= 500 ? " Look whether the circuit changed." : "";
  throw new Error((said.detail ?? "The server refused with status " + response.status + ".") + isUnknown);
}
`;

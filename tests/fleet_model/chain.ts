import { assert, assertEquals } from "@std/assert";

/** A row of the log. */
export interface Change {
  version: number;
  at: number;
  from: string;
  to: string;
  cause: string;
}

/** By cause: the changes that it may make, as "from>to". Those of no state are any "x>x". */
const EDGES: Readonly<Record<string, readonly string[]>> = {
  trip: ["closed>open"],
  vote: ["closed>open", "same"],
  probe: ["open>half-open", "half-open>open", "half-open>closed"],
  round: ["half-open>half-open"],
  manual: ["open>closed", "closed>half-open"],
  reset: ["open>closed", "half-open>closed", "same"],
  zeroed: ["same"],
  force: ["closed>open", "half-open>open", "open>closed", "half-open>closed", "same"],
};

/** The log of one circuit is a chain: each row begins where the one before ended. */
export class Chain {
  /** The circuit's own state, whatever operators force. */
  own = "closed";
  version = 0;
  #at = 0;
  #logged = "closed";

  /** Checks the next row of the log. */
  add({ version, at, from, to, cause }: Change): void {
    assert(version > this.version, `version ${version} after ${this.version}`);
    assert(at >= this.#at, `version ${version} is older than the one before`);
    assertEquals(from, this.#logged, `version ${version} begins elsewhere`);
    this.version = version;
    this.#at = at;
    this.#logged = to;
    if (cause === "release" || cause === "expiry") {
      assertEquals(to, this.own, `${cause} shows another state than the circuit's own`);
      return;
    }
    const edge = from === to && cause !== "round" ? "same" : `${from}>${to}`;
    assert(EDGES[cause]?.includes(edge), `${cause}: ${edge}`);
    if (cause !== "force" && !(cause === "vote" && edge === "same")) this.own = to;
  }
}

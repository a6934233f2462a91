/** What the floors offer each other. */

import type { ChangeListener } from "./rules/circuit.ts";

/** Where changes are announced. */
export interface Feed {
  /** Whether anything is announced at all. */
  readonly canListen: boolean;
  /** Tells of changes until the function that it returns is called. */
  subscribe(listener: ChangeListener): () => void;
}

import { CALL_SITUATIONS } from "./situations_of_calls.ts";
import { CIRCUIT_SITUATIONS } from "./situations_of_circuits.ts";

/** A peer, by whose tests a situation is named. */
export type Peer = "opossum" | "cockatiel" | "Deno std";

/** A situation, and what comes of it. */
export interface Situation {
  readonly situation: string;
  /** Whose tests name it. */
  readonly peers: readonly Peer[];
  /** Why this package does something else than these peers; absent where it does the same. */
  readonly because?: string;
  /** Tries it on a breaker of this package. */
  readonly ours: () => Promise<unknown>;
  /** What that comes to. */
  readonly expected: unknown;
  /** Tries it on the peers themselves, where that is easy. */
  readonly oracles?: Readonly<Partial<Record<Peer, () => Promise<unknown>>>>;
}

export const situations: readonly Situation[] = [...CIRCUIT_SITUATIONS, ...CALL_SITUATIONS];

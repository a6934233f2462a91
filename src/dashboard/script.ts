/** The script of the page, put together from its parts. They are one module and share their names. */

import { ACTING } from "./browser/acting.ts";
import { CHANGES } from "./browser/changes.ts";
import { CIRCUIT } from "./browser/circuit.ts";
import { CIRCUITS } from "./browser/circuits.ts";
import { ELEMENTS } from "./browser/elements.ts";
import { LIVE } from "./browser/live.ts";
import { MAIN } from "./browser/main.ts";
import { TIMELINE } from "./browser/timeline.ts";
import { TIMES } from "./browser/times.ts";

/** JavaScript for browsers. It is text, because a function's source is another after a build. */
export const SCRIPT: string = [
  ELEMENTS,
  TIMES,
  CIRCUITS,
  TIMELINE,
  CIRCUIT,
  CHANGES,
  ACTING,
  LIVE,
  MAIN,
].join("\n");

/**
 * The tests that dnt runs on Node, against what it compiled. They are those that use nothing of
 * `Deno` but `Deno.test`, which is all that dnt puts in its place here.
 *
 * @module
 */

import "../conformance/memory_test.ts";
import "../time/clock_offset_test.ts";
import "../postgres/identifier_test.ts";
import "../postgres/sql_state_test.ts";

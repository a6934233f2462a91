import { assertEquals } from "@std/assert";
import type { Change, History } from "../../src/ports.ts";
import { ChangeTail } from "../../src/feed/change_tail.ts";
import type { CircuitState } from "../../src/types.ts";

const MADE_AT = 1000;

/** The database's clock is 5 s behind the caller's. */
const clock = { now: () => MADE_AT + 5000, toCaller: (time: number) => time + 5000 };

const CODES: Record<string, CircuitState> = { c: "closed", o: "open", h: "half-open" };

/** Changes from words such as `3o@1200`: version, state, time. */
function changesOf(words: string): Change[] {
  return words.split(" ").filter(Boolean).map((word) => {
    const [, version, state, at] = /^(\d+)([coh])@(\d+)$/.exec(word)!;
    return { version: Number(version), state: CODES[state!]!, at: Number(at) };
  });
}

/** A circuit that remembers these changes. By default it is as the last one left it. */
function circuit(words: string, other: Partial<History> = {}): History {
  const changes = changesOf(words);
  const { version = 0, state = "closed", at: since = 0 } = changes.at(-1) ?? {};
  return { key: "api", version, state, since, changes, ...other };
}

/** The changes after a look at each of these, as words such as `closed>open 3@1200`. */
function reported(...looks: (History | undefined)[]): string[] {
  const tail = new ChangeTail(clock);
  return looks.map((look, i) => {
    const readAt = 2000 + i * 100;
    return tail.changesSince({ circuits: look === undefined ? [] : [look], readAt })
      .map(({ key, from, to, version, at }) => {
        assertEquals(key, "api");
        return `${from}>${to} ${version}@${at - 5000}`;
      }).join(", ");
  });
}

Deno.test("ChangeTail reports no change from before it was made", () => {
  assertEquals(reported(circuit("1o@900 2h@950 3o@1000")), [""]);
});

Deno.test("ChangeTail reports the changes between its making and the first look", () => {
  assertEquals(reported(circuit("1o@900 2h@1001 3o@1002")), [
    "open>half-open 2@1001, half-open>open 3@1002",
  ]);
  assertEquals(reported(circuit("1o@1001")), ["closed>open 1@1001"]);
});

Deno.test("ChangeTail reports each change once, and none that leaves the state as it was", () => {
  assertEquals(
    reported(
      undefined,
      circuit("1o@2001"),
      circuit("1o@2001"),
      circuit("1o@2001 2h@2101 3h@2102 4c@2103"),
      circuit("1o@2001 2h@2101 3h@2102 4c@2103"),
    ),
    ["", "closed>open 1@2001", "", "open>half-open 2@2101, half-open>closed 4@2103", ""],
  );
});

Deno.test("ChangeTail reports the last 16 of more changes, from the state that it reported last", () => {
  const states = "ohcohcohcohcohcohcohcohc";
  const words = Array.from(states, (state, i) => `${i + 1}${state}@${2100 + i}`);
  const [, , later] = reported(
    undefined,
    circuit(words.slice(0, 2).join(" ")),
    circuit(words.slice(-16).join(" ")),
  );
  const lines = later!.split(", ");
  assertEquals(lines.length, 16);
  assertEquals(lines[0], "half-open>closed 9@2108");
  assertEquals(lines.at(-1), "half-open>closed 24@2123");
});

Deno.test("ChangeTail reports a reset of a circuit that was not closed", () => {
  assertEquals(reported(undefined, circuit("1o@2001"), undefined, undefined), [
    "",
    "closed>open 1@2001",
    "open>closed 0@2200",
    "",
  ]);
  assertEquals(reported(circuit("1o@900"), undefined), ["", "open>closed 0@2100"]);
  assertEquals(reported(circuit("1o@900 2c@901"), undefined), ["", ""]);
});

Deno.test("ChangeTail recognises a circuit that was reset and made anew", () => {
  const before = circuit("1o@900 2h@901");
  assertEquals(reported(before, circuit("1o@2050")), [
    "",
    "half-open>closed 0@2050, closed>open 1@2050",
  ]);
  assertEquals(reported(before, circuit("1o@2050 2h@2051")), [
    "",
    "half-open>closed 0@2050, closed>open 1@2050, open>half-open 2@2051",
  ]);
  assertEquals(reported(before, circuit("1o@2050 2h@2051 3c@2052")), [
    "",
    "half-open>closed 0@2050, closed>open 1@2050, open>half-open 2@2051, half-open>closed 3@2052",
  ]);
  // Successes that were counted late made the row again, with an earlier version.
  assertEquals(reported(before, circuit("", { version: 1 })), ["", "half-open>closed 0@2100"]);
  assertEquals(reported(before, circuit("", { version: 2 })), ["", "half-open>closed 0@2100"]);
  assertEquals(reported(before, circuit("8o@2050", {})), [
    "",
    "half-open>closed 0@2050, closed>open 8@2050",
  ]);
});

Deno.test("ChangeTail goes on after it reported a reset", () => {
  const anew = circuit("1o@2250");
  assertEquals(reported(circuit("1o@900"), undefined, anew, anew).slice(1), [
    "open>closed 0@2100",
    "closed>open 1@2250",
    "",
  ]);
});

Deno.test("ChangeTail reports the end of a forced state that ran out, once", () => {
  const over = circuit("1o@900 2c@2050", { state: "open", since: 2150 });
  assertEquals(reported(circuit("1o@900"), circuit("1o@900 2c@2050"), over, over), [
    "",
    "open>closed 2@2050",
    "closed>open 2@2150",
    "",
  ]);
  assertEquals(reported(over, circuit("1o@900 2c@2050 3h@2200")), [
    "open>closed 2@2050, closed>open 2@2150",
    "open>half-open 3@2200",
  ]);
});

Deno.test("ChangeTail knows circuits of tables that remembered nothing yet", () => {
  const old = circuit("", { state: "open", since: 500 });
  assertEquals(reported(old, circuit("1h@2050")), ["", "open>half-open 1@2050"]);
  assertEquals(reported(old, undefined), ["", "open>closed 0@2100"]);
});

import { assertEquals } from "@std/assert";
import {
  parseDuration,
  parseMoment,
  shownDuration,
  shownSince,
  shownTime,
} from "../../src/cli/times.ts";

Deno.test("parseDuration() reads what operators type, and nothing else", () => {
  assertEquals(["30s", "10m", "24h", "7d", "1h30m", "500ms", "1.5h", "0s"].map(parseDuration), [
    30_000,
    600_000,
    86_400_000,
    604_800_000,
    5_400_000,
    500,
    5_400_000,
    0,
  ]);
  for (const wrong of ["", "10", "10 m", "-10m", "m", "10M", "1e3s", "10m ", "∞s"]) {
    assertEquals(parseDuration(wrong), undefined, wrong);
  }
});

Deno.test("parseMoment() reads durations, days and dates", () => {
  const now = new Date(2026, 0, 31, 14, 3, 12).getTime();
  assertEquals(parseMoment("1h", now), now - 3_600_000);
  assertEquals(parseMoment("today", now), new Date(2026, 0, 31).getTime());
  assertEquals(parseMoment("yesterday", now), new Date(2026, 0, 30).getTime());
  assertEquals(parseMoment("2026-01-31", now), new Date(2026, 0, 31).getTime());
  assertEquals(parseMoment("2026-01-31 10:00", now), new Date(2026, 0, 31, 10).getTime());
  assertEquals(parseMoment("2026-01-31T10:00:00Z", now), Date.UTC(2026, 0, 31, 10));
  for (const wrong of ["", "tomorrow", "2026-13-01", "31.1.2026", "1769860992000"]) {
    assertEquals(parseMoment(wrong, now), undefined, wrong);
  }
});

Deno.test("shownDuration() has two units at most", () => {
  assertEquals(
    [0, 1, 999, 1000, 61_000, 3_600_000, 93_784_000, -5].map(shownDuration),
    ["0s", "1ms", "999ms", "1s", "1m 1s", "1h", "1d 2h", "0s"],
  );
});

Deno.test("shownTime() is in the zone of the process and can be typed again", () => {
  const time = new Date(2026, 0, 31, 4, 3, 2).getTime();
  assertEquals(shownTime(time), "2026-01-31 04:03:02");
  assertEquals(parseMoment(shownTime(time), 0), time);
  assertEquals(shownSince(time, time + 5000), "2026-01-31 04:03:02 (5s ago)");
  assertEquals(shownTime(NaN), "?");
});

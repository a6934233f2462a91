import { COMMANDS } from "../../src/cli/run.ts";
import { assertGolden } from "./golden.ts";
import { openStage, runCommand, type Setting, steady } from "./stage.ts";

const KEY_THAT_HURTS = "/api/v1/決済\n\x1b[31m\u202e";

/** What an operator types in a night, in this order. */
const SESSION: readonly (readonly [line: readonly string[], setting: Setting])[] = [
  [["list"], { columns: 100 }],
  [["list"], { columns: 60 }],
  [["list", "--state", "open"], {}],
  [["list"], { columns: 80, hasColors: true }],
  [["show", "payments"], {}],
  [["show", KEY_THAT_HURTS], {}],
  [["show", "nothing"], {}],
  [["open", "search", "--reason", "provider maintenance", "--for", "10m"], { answer: false }],
  [["open", "search", "--reason", "provider maintenance", "--for", "10m"], { answer: true }],
  [["open", "search", "--reason", "provider maintenance"], {}],
  [["close", "payments", "--reason", "false alarm", "--yes", "--actor", "ada"], {}],
  [["release", "payments"], { answer: true }],
  [["release", "payments"], { answer: true }],
  [["reset", "payments", "--reason", "tried"], { answer: true }],
  [["history"], { columns: 110 }],
  [["history", "--key", "payments", "--since", "1h"], {}],
  [["history", "--since", "2020-01-01", "--until", "2020-01-02"], {}],
  [["instances"], {}],
  [["prune"], {}],
  [["migrate"], {}],
  [["lst"], {}],
];

Deno.test("the CLI prints what the golden session has", async () => {
  await using stage = await openStage();
  const { store } = stage;
  for (let i = 0; i < 5; i++) await store.recordFailure("payments");
  await store.transition("payments", "open");
  await store.recordFailure("orders");
  await store.transition(KEY_THAT_HURTS, "open");
  for (let i = 0; i < 3; i++) await store.getState("payments");
  // What was refused is written when an instance closes, at the latest.
  await store.close();
  // An age of an hour is as wide for a minute, and so are the columns.
  await stage.client.query(
    `update stoma_circuit_breakers
    set last_state_change = last_state_change - 3600000, opened_at = opened_at - 3600000
    where state = 'open'`,
  );
  const [{ role }] = (await stage.client.query("select current_user as role")).rows as [
    { role: string },
  ];
  let text = "";
  for (const [line, setting] of SESSION) {
    const { code, out, err } = await stage.cli(line, setting);
    const place = setting.columns === undefined ? "" : ` (${setting.columns} columns)`;
    text += `$ ${line.map((word) => JSON.stringify(word)).join(" ")}${place}\n`;
    text += err.replace(/^(?=.)/gm, "! ") + out + `-> ${code}\n\n`;
  }
  const ofAnyRole = steady(text)
    .replaceAll(`(role ${role})`, "(role app)")
    .replaceAll(new RegExp(`  ${role}$`, "gm"), "  app");
  await assertGolden("cli_session.txt", ofAnyRole);
});

Deno.test("the CLI's help is what the golden file has", async () => {
  let text = "";
  for (const line of [["--help"], ...COMMANDS.map(({ name }) => ["help", name])]) {
    text += `$ ${line.join(" ")}\n${(await runCommand(line, { columns: 80 })).out}\n`;
  }
  await assertGolden("cli_help.txt", text);
});

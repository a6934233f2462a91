import { assertEquals } from "@std/assert";

/** Compares a text with a file in `tests/golden`; `UPDATE_GOLDEN=1` rewrites the file. */
export async function assertGolden(name: string, text: string): Promise<void> {
  const file = new URL(`../golden/${name}`, import.meta.url);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(file, text);
  assertEquals(text, await Deno.readTextFile(file));
}

/** A page in the browser, and what tests ask of every page. */

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import type { Browser } from "../support/chromium.ts";

/** A page that keeps what should not happen on it. */
export interface Visit {
  readonly page: Page;
  /** Goes to an address below the dashboard, and waits until it shows what it has read. */
  go(path: string): Promise<void>;
  /** Fails if the console had an error, or a request went elsewhere. */
  assertQuiet(): void;
  /** Fails if axe finds a violation. */
  assertAccessible(name: string): Promise<void>;
  /** Keeps a picture where the environment asks for pictures. */
  keepPicture(name: string): Promise<void>;
}

/** The folder for pictures. */
const PICTURES = Deno.env.get("DASHBOARD_PICTURES");

/** Opens a page of the dashboard at `base`. */
export async function visit({ context }: Browser, base: string): Promise<Visit> {
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:")) problems.push(`request to ${url}`);
  });
  return {
    page,
    async go(path) {
      await page.goto(base + path);
      await page.waitForSelector("main[data-loaded]");
    },
    assertQuiet: () => assertEquals(problems, []),
    async assertAccessible(name) {
      // The policy of the page keeps scripts out, so axe comes through the browser's debugger.
      await page.evaluate(await axeSource());
      const found = await page.evaluate(async () => {
        // deno-lint-ignore no-explicit-any
        const { violations } = await (globalThis as any).axe.run();
        return violations.map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => [
          id,
          nodes.slice(0, 3).map(({ html }) => html),
        ]);
      });
      assertEquals(found, [], name);
    },
    async keepPicture(name) {
      if (PICTURES === undefined) return;
      await Deno.mkdir(PICTURES, { recursive: true });
      await page.screenshot({ path: `${PICTURES}/${name}.png` });
    },
  };
}

let source: Promise<string> | undefined;

function axeSource(): Promise<string> {
  return source ??= import("axe-core").then((axe) => (axe.default ?? axe).source);
}

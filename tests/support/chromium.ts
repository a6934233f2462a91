/**
 * Debian's Chromium, driven by playwright-core.
 *
 * @module
 */

import { type BrowserContext, chromium } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where Chromium is; `undefined` where it is not installed. Tests that need it are ignored then. */
export const CHROMIUM: string | undefined = PATHS.find(isFile);

/** What keeps it from asking others, and lets it run in a container. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with a profile of its own. Disposal ends it and removes the profile. */
export interface Browser extends AsyncDisposable {
  readonly context: BrowserContext;
}

/** Starts a browser without a window. */
export async function startChromium(): Promise<Browser> {
  const folder = await Deno.makeTempDir({ prefix: "circuit_breaker_chromium_" });
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM!,
    headless: true,
    args: ARGUMENTS,
    viewport: { width: 1280, height: 800 },
    timeout: 60_000,
  });
  context.setDefaultTimeout(30_000);
  return {
    context,
    async [Symbol.asyncDispose]() {
      await context.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

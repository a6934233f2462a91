/** The dashboard in a real browser, on a real database, with 10,000 circuits. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { dashboard, type DashboardOptions } from "../../src/dashboard/dashboard.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { CHROMIUM, startChromium } from "../support/chromium.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase, databaseUrl } from "../support/database.ts";
import { visit } from "./visit.ts";

const HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.\u202c\n\x1b[31m\u200b\"'&";
const CIRCUITS = 10_000;
const ROWS = ".circuits tbody tr";

// What functions use that run in the page. Deno's types have no documents.
// deno-lint-ignore no-explicit-any
declare const document: any, MutationObserver: any, getComputedStyle: any;

interface Stage extends AsyncDisposable {
  url: string;
  proxy: TcpProxy;
  /** Makes changes past the dashboard. */
  gateway: PostgresCircuitBreakerStore;
  serve(options?: DashboardOptions): { base: string };
}

/** A database with 10,000 circuits, and servers of dashboards on it. */
async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  const direct = stack.use(await openPostgresJs(database.url, { max: 2 }));
  await migrate(direct.client);
  await direct.raw`
    insert into stoma_circuit_breakers (key, success_count)
    select '/customers/' || lpad(i::text, 5, '0'), 1 from generate_series(1, ${CIRCUITS}) as i`;
  const gateway = stack.use(
    new PostgresCircuitBreakerStore(direct.client, { instanceId: "gateway-1" }),
  );
  const proxy = stack.use(TcpProxy.start(databaseUrl()));
  const driver = stack.use(await openPostgresJs(proxy.urlOf(database.url), { max: 4 }));
  const store = stack.use(
    new PostgresCircuitBreakerStore(driver.client, {
      instanceId: "dashboard-host",
      timeoutMs: 2000,
    }),
  );
  const serve = (options?: DashboardOptions) => {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      dashboard(store, options),
    );
    kept.defer(async () => {
      await store.close(); // which ends the streams
      await server.shutdown();
    });
    return { base: `http://127.0.0.1:${server.addr.port}/` };
  };
  const kept = stack.move();
  return {
    url: database.url,
    proxy,
    gateway,
    serve,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function open(store: PostgresCircuitBreakerStore, key: string): Promise<void> {
  await store.recordFailure(key);
  await store.transition(key, "open");
}

// The driver of the browser keeps a process and its pipes between the steps.
const OPTIONS = { ignore: CHROMIUM === undefined, sanitizeOps: false, sanitizeResources: false };
const NAME = CHROMIUM === undefined
  ? "dashboard in Chromium (ignored: there is no chromium)"
  : "dashboard in Chromium";

Deno.test({ name: NAME, ...OPTIONS }, async (t) => {
  await using stage = await openStage();
  const { gateway } = stage;
  await using browser = await startChromium();
  const { base } = stage.serve({ readOnly: false, authorize: () => ({ actor: "ada" }) });
  const shown = await visit(browser, base);
  const { page, go } = shown;
  const texts = (selector: string) => page.locator(selector).allTextContents();

  await open(gateway, "payments");
  await open(gateway, HOSTILE);
  await open(gateway, "x\0".repeat(300));

  await t.step("shows 10,000 circuits within a second, the open ones first", async () => {
    const paints: number[] = [];
    for (let i = 0; i < 3; i++) {
      await go("");
      paints.push(
        await page.evaluate(() =>
          performance.getEntriesByName("first-contentful-paint")[0]!.startTime
        ),
      );
    }
    assert(Math.min(...paints) < 1000, `first paints after ${paints} ms`);
    assertEquals(await page.locator(ROWS).count(), 100);
    const states = (await texts(`${ROWS} .state`)).slice(0, 4);
    assertEquals(states, ["open", "open", "open", "closed"]);
    assertMatch(await page.title(), /^3 open · Circuit breakers$/);
    await shown.assertAccessible("list");
    await shown.keepPicture("list");
  });

  await t.step("shows hostile keys as text", async () => {
    const keys = await texts(`${ROWS} td[data-of=circuit]`);
    assert(
      keys.includes(
        "<img src=x onerror=alert(1)>\\u{202E}gnp.\\u{202C}\\n\\x1B[31m\\u{200B}\"'&",
      ),
      JSON.stringify(keys.slice(0, 3)),
    );
    assertEquals(await page.locator("main img").count(), 0);
    await page.locator(`${ROWS} a`, { hasText: "<img" }).click();
    await page.waitForSelector(".one dl div");
    assertEquals(new URL(page.url()).searchParams.get("circuit"), HOSTILE);
    assertMatch((await texts("h1"))[0]!, /^<img src=x onerror=alert\(1\)>\\u\{202E\}gnp/);
    await page.goBack();
    await page.locator(`${ROWS} a`, { hasText: "digest" }).click();
    await page.waitForSelector(".one dl div");
    assertMatch(new URL(page.url()).searchParams.get("circuit")!, /~sha256:[0-9a-f]{64}$/);
    await page.goBack();
    await page.waitForSelector(ROWS);
  });

  await t.step("pages on the server, with the back button", async () => {
    await page.locator(".pages a", { hasText: "Next page" }).click();
    await page.waitForFunction(() =>
      document.querySelector("tbody tr a")?.textContent === "/customers/00098"
    );
    assertEquals(await page.locator(ROWS).count(), 100);
    const address = page.url();
    await page.goBack();
    await page.waitForFunction(() =>
      document.querySelector("tbody .state")?.textContent === "open"
    );
    await page.goto(address);
    await page.waitForFunction(() =>
      document.querySelector("tbody tr a")?.textContent === "/customers/00098"
    );
  });

  await t.step("filters by state and by prefix, in the address", async () => {
    await go("");
    await page.locator(".choices a[data-state=open]").click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 3);
    await page.keyboard.press("/");
    await page.keyboard.type("pay");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    const query = new URL(page.url()).searchParams;
    assertEquals([query.get("state"), query.get("q")], ["open", "pay"]);
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    assertEquals(await page.inputValue("#search"), "pay");
    await page.fill("#search", "/customers/0999");
    await page.waitForSelector(".empty:not([hidden])");
    await page.locator(".choices a", { hasText: "All" }).click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 10);
  });

  await t.step("shows within a second what another process does", async () => {
    await go("");
    await page.waitForSelector("#live[data-live=live]");
    const appeared = page.evaluate(() =>
      new Promise<number>((resolve) => {
        const look = () => {
          const links = [...document.querySelectorAll("tbody tr a")];
          if (
            links.some(({ textContent }: { textContent: string }) => textContent === "inventory")
          ) resolve(Date.now());
        };
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
      })
    );
    const program = fileURLToPath(new URL("open_program.ts", import.meta.url));
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--no-lock", "--no-check", program, stage.url, "inventory"],
      stdin: "null",
    }).output();
    assert(success);
    const ms = await appeared - Number(new TextDecoder().decode(stdout));
    assert(ms < 1000, `${ms} ms`);
    await page.waitForFunction(() => document.getElementById("said")?.textContent !== "");
    assertEquals(await texts("#said"), ["inventory is now open: trip by gateway-7."]);
  });

  await t.step("acts with a reason, after a dialog that says what will happen", async () => {
    await go("?circuit=payments");
    await page.locator(".acts button", { hasText: "Close" }).click();
    assertMatch((await texts("#act-effect"))[0]!, /^All instances let every request .* through/);
    assertEquals(await texts("#act-title"), ["Close payments?"]);
    await shown.assertAccessible("dialog");
    await shown.keepPicture("dialog");
    await page.keyboard.press("Escape");
    await page.locator(".acts button", { hasText: "Close" }).click();
    await page.fill("#act-reason", "   ");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("act-problem")?.textContent !== "");
    assertEquals((await gateway.history({ key: "payments" })).length, 1);
    await page.selectOption("#act-for", "3600000");
    await page.fill("#act-reason", "False alarm");
    await page.keyboard.press("Enter");
    await page.waitForSelector("h1 .by-force");
    const [, change] = await gateway.history({ key: "payments" });
    assertEquals([change?.cause, change?.to, change?.actor, change?.reason], [
      "force",
      "closed",
      "ada",
      "False alarm",
    ]);
    await page.locator(".acts button", { hasText: "Release" }).click();
    await page.fill("#act-reason", "Checked");
    await page.locator("#act-confirm").click();
    await page.waitForSelector("h1 .state:not(:has(.by-force))");
    assertEquals((await gateway.getState("payments")).state, "open");
  });

  await t.step("answers which, since when, why, who, how many refused, and yesterday", async () => {
    for (let i = 0; i < 3; i++) await gateway.getState("payments");
    await gateway.close(); // which adds its refusals at once
    await go("");
    const row = page.locator(ROWS, { hasText: "payments" });
    const cells = Object.fromEntries(
      await row.locator("td").evaluateAll((all) =>
        all.map((cell) => [cell.getAttribute("data-of"), cell.textContent])
      ),
    );
    assertEquals(cells.state, "open");
    assertMatch(cells.since ?? "", /^\d+m?s? ?(?:\d+s )?\d\d:\d\d:\d\d$/);
    assertMatch(cells.why ?? "", /^release by ada: Checked$/);
    assertEquals(cells.refused, "4");
    await go("?view=changes&since=7d");
    const changes = await texts(".changes tbody tr");
    assert(
      changes.some((text) => /payments.*closed → open.*trip.*gateway-1/.test(text)),
      changes[0],
    );
    assert(changes.some((text) => /payments.*force.*ada.*False alarm/.test(text)), changes[0]);
    await shown.assertAccessible("changes");
    await go("?circuit=payments&since=7d");
    assertMatch(
      await page.locator(".timeline svg").getAttribute("aria-label") ?? "",
      /left the state closed 2 times/,
    );
    await shown.assertAccessible("circuit");
    await shown.keepPicture("circuit");
    await go("?view=instances");
    await shown.assertAccessible("instances");
  });

  await t.step("fits a phone, in the dark", async () => {
    await page.setViewportSize({ width: 375, height: 812 });
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    for (const path of ["", "?circuit=payments", "?view=changes", "?view=instances"]) {
      await go(path);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert(width <= 375, `${path} is ${width} wide`);
      await shown.assertAccessible(`phone ${path}`);
      await shown.keepPicture(`phone${path.replace(/\W+/g, "-")}`);
    }
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assertEquals(ground, "rgb(16, 20, 26)");
  });

  await t.step("works by keyboard alone", async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: "light" });
    await go("?q=payments");
    await page.keyboard.press("Tab");
    assertEquals(
      await page.evaluate(() => document.activeElement?.textContent),
      "Skip to the content",
    );
    await page.locator("#search").focus();
    for (let i = 0; i < 5; i++) await page.keyboard.press("Tab");
    assertEquals(await page.evaluate(() => document.activeElement?.textContent), "payments");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".one dl div");
    assertEquals(await page.evaluate(() => document.activeElement?.tagName), "H1");
  });

  await t.step("leaves the console empty, and asks no other server", () => shown.assertQuiet());

  await t.step("is read only by default, without buttons", async () => {
    const other = await visit(browser, stage.serve().base);
    await other.go("?circuit=payments");
    assertEquals(await other.page.locator("button:visible, dialog").count(), 0);
    assertMatch(await other.page.locator(".who").innerText(), /^Read only/);
    other.assertQuiet();
    await other.page.close();
  });

  await t.step("stays up while the store is out, says since when, and recovers", async () => {
    await go("");
    await page.waitForSelector("#live[data-live=live]");
    await stage.proxy.refuse();
    stage.proxy.cut();
    await page.waitForSelector("#banner:not([hidden])");
    assertMatch(
      (await texts("#banner"))[0]!,
      /^The store has not answered since \d\d:\d\d:\d\d\..*ECONNREFUSED/,
    );
    assertEquals(await page.locator(ROWS).count(), 100);
    await shown.assertAccessible("outage");
    await shown.keepPicture("outage");
    await stage.proxy.resume();
    await page.waitForSelector("#banner", { state: "hidden" });
  });
});

import { assert, assertEquals } from "@std/assert";
import { DRIVERS, MODES } from "./messages.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** What keeps a process alive does so for good: a slow machine needs no tighter bound. */
const ENDS_WITHIN_MS = 60_000;

/** postgres.js warns where its pause before a connection is over already. It connects at once then. */
const DRIVER_WARNING =
  /^\(node:\d+\) TimeoutNegativeWarning: .*\nTimeout duration was set to 1\.\n(?:\(Use .*\n)?/gm;

const NETWORKS: Record<string, (proxy: TcpProxy) => void | Promise<void>> = {
  "refuses": (proxy) => proxy.refuse(),
  "closes connections": (proxy) => proxy.turnAway(),
};

for (const driver of DRIVERS) {
  for (const mode of MODES) {
    for (const [network, begin] of Object.entries(NETWORKS)) {
      Deno.test(`a process ends by itself: ${driver}, ${mode}, a network that ${network}`, async () => {
        await using proxy = TcpProxy.start("postgres://127.0.0.1:1");
        await begin(proxy);
        const url = proxy.urlOf("postgres://postgres@localhost/nothing");
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "--allow-all",
            "--quiet",
            "--cached-only",
            new URL("./exit_program.ts", import.meta.url).href,
            driver,
            mode,
            url,
          ],
          stdin: "null",
          signal: AbortSignal.timeout(ENDS_WITHIN_MS),
        }).output();
        const decoder = new TextDecoder();
        const complaints = decoder.decode(stderr).replaceAll(DRIVER_WARNING, "");
        assertEquals([code, complaints], [0, ""]);
        const said = decoder.decode(stdout).split("\n");
        assert(said.includes("done") && said.includes("out"), `${said}`);
      });
    }
  }
}

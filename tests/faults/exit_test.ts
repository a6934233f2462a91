import { assert, assertEquals } from "@std/assert";
import { DRIVERS, MODES } from "./messages.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** What keeps a process alive does so for good: a slow machine needs no tighter bound. */
const ENDS_WITHIN_MS = 60_000;

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
        assertEquals([code, decoder.decode(stderr)], [0, ""]);
        const said = decoder.decode(stdout).split("\n");
        assert(said.includes("done") && said.includes("out"), `${said}`);
      });
    }
  }
}

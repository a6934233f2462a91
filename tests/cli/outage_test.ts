import { assertEquals } from "@std/assert";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { openStage, runCommand } from "./stage.ts";

Deno.test("watch says that the database is away, waits for it, and prints what happens then", async () => {
  await using stage = await openStage();
  await using proxy = TcpProxy.start(stage.url);
  const heard = new Map(
    ["Watching.", "The database does not answer.", "The database answers again."]
      .map((words) => [words, Promise.withResolvers<void>()]),
  );
  const changed = Promise.withResolvers<string>();
  let interrupt: (code: 130) => void = () => {};
  const watching = runCommand(["watch", "--timeout", "500ms"], {
    env: { DATABASE_URL: proxy.urlOf(stage.url) },
    onInterruptible: (stop) => interrupt = stop,
    onOut: changed.resolve,
    onErr(text) {
      for (const [words, { resolve }] of heard) if (text.includes(words)) resolve();
    },
  });
  await heard.get("Watching.")!.promise;
  await proxy.refuse();
  proxy.cut();
  await heard.get("The database does not answer.")!.promise;
  await proxy.resume();
  await heard.get("The database answers again.")!.promise;
  await stage.store.transition("payments", "open");
  assertEquals((await changed.promise).includes("payments  closed -> open"), true);
  interrupt(130);
  assertEquals((await watching).code, 130);
});

/**
 * A gateway instance in a process of its own. Its first line of input is its settings, each further one
 * a command; it writes what it sees as lines of JSON. Nothing here catches a rejection that no caller
 * awaits: such a rejection ends the process, which the test then sees. It ends with its input.
 */

import { lines } from "../../scripts/demo/lines.ts";
import { Gateway } from "./gateway.ts";
import type { GatewayCommand, GatewayMessage, GatewaySettings } from "./messages.ts";

function say(message: GatewayMessage): void {
  console.log(JSON.stringify(message));
}

async function serve(settings: GatewaySettings, commands: AsyncIterable<string>): Promise<void> {
  const realNow = Date.now;
  let stepMs = 0;
  Date.now = () => realNow() + stepMs;
  let gateway = new Gateway(settings, say);
  gateway.start();
  for await (const line of commands) {
    const command: GatewayCommand = JSON.parse(line);
    if (command.type === "step") {
      stepMs += command.ms;
    } else if (command.type === "stop") {
      await gateway.stop();
    } else if (command.type === "close") {
      await gateway.stop();
      await gateway.close();
    } else if (command.type === "open") {
      gateway = new Gateway(command.settings, say);
      gateway.start();
    } else {
      await gateway.close();
      return;
    }
  }
  Deno.exit(1); // the test is gone
}

if (import.meta.main) {
  const input = lines(Deno.stdin.readable);
  const { value, done } = await input.next();
  if (!done) await serve(JSON.parse(value), input);
}

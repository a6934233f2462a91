/**
 * A program that listens and ends its pool: nothing may keep it alive then. Arguments: driver, whether
 * it unlistens, forgets to or is refused, connection string.
 */

import { openNodePostgres, openPostgresJs } from "../support/clients.ts";

const [driver, way, url] = Deno.args;
const open = driver === "postgres.js" ? openPostgresJs : openNodePostgres;
const { client, [Symbol.asyncDispose]: close } = await open(url!, { max: 1 });
if (way === "refused") {
  await client.listen!("news", () => {}).catch(() => console.log("refused"));
} else {
  const { promise, resolve } = Promise.withResolvers<string>();
  const unlisten = await client.listen!("news", resolve);
  await client.query("select pg_notify('news', 'received')");
  console.log(await promise);
  if (way === "unlistened") await unlisten();
}
await close();
console.log("done");

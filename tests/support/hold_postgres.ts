/**
 * Holds a throw-away server until it is killed, and says where it is.
 *
 * @module
 */

import { startPostgres } from "./postgres_server.ts";

const { port, dataDirectory, exited } = await startPostgres();
console.log(JSON.stringify({ port, dataDirectory }));
await exited;

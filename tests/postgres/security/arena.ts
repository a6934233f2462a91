/** A database with a gateway and a neighbour, both of which may create in the schema `public`. */

import type postgres from "postgres";
import { connect, createDatabase, databaseUrl, urlAs } from "../../support/database.ts";

/** A role that can connect to the database. */
export interface Actor {
  readonly name: string;
  /** The name in SQL. */
  readonly quoted: string;
  readonly url: string;
}

/** The scene of an attack. */
export interface Arena extends AsyncDisposable {
  /** The connection string of a superuser. */
  readonly url: string;
  /** A connection of that superuser. */
  readonly admin: postgres.Sql;
  /** Who runs `migrate` and the store. What waits for a lock of another fails after two seconds. */
  readonly gateway: Actor;
  /** The attacker. It has no privilege on what the gateway makes. */
  readonly neighbour: Actor;
  /** Makes another role that may create in `public`. */
  enter(suffix: string): Promise<Actor>;
}

/**
 * Makes the database and the roles.
 *
 * @param server The connection string of a superuser. By default that of the tests.
 */
export async function createArena(server: string = databaseUrl()): Promise<Arena> {
  await using open = new AsyncDisposableStack();
  const maintenance = open.use(connect(server));
  // The roles go after the database, and what they own goes with it, however much that is.
  const actors: Actor[] = [];
  open.defer(async () => {
    for (const { quoted } of actors) await maintenance.unsafe(`drop role ${quoted}`);
  });
  const database = open.use(await createDatabase(server));
  const admin = open.use(connect(database.url));
  const enter = async (suffix: string): Promise<Actor> => {
    const name = `${database.name}_${suffix}`;
    const password = crypto.randomUUID();
    const actor = { name, quoted: `"${name}"`, url: urlAs(database.url, name, password) };
    await admin.unsafe(`create role ${actor.quoted} login password '${password}'`);
    actors.push(actor);
    await admin.unsafe(`grant usage, create on schema public to ${actor.quoted}`);
    return actor;
  };
  const gateway = await enter("gateway");
  const neighbour = await enter("neighbour");
  await admin.unsafe(`alter role ${gateway.quoted} set lock_timeout = '2s'`);
  const all = open.move();
  return {
    url: database.url,
    admin,
    gateway,
    neighbour,
    enter,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

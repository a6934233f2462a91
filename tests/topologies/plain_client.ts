/** What a program without this library sees of the database: the measure for what a store does. */

import { connect } from "../support/database.ts";

const CONNECT_SECONDS = 2;
const PAUSE_MS = 20;
const HAPPENS_WITHIN_MS = 60_000;

/** Makes the table that a plain client writes to. */
export async function prepareWrites(url: string): Promise<void> {
  await using sql = connect(url);
  await sql`create table plain_writes (at timestamptz)`;
}

/** Tries to write, with one connection after the other, and resolves when one write was acknowledged. */
export async function firstWrite(url: string): Promise<void> {
  const givenUpAt = performance.now() + HAPPENS_WITHIN_MS;
  for (;;) {
    try {
      await using sql = connect(url, { connect_timeout: CONNECT_SECONDS, fetch_types: false });
      await sql`insert into plain_writes values (now())`;
      return;
    } catch (error) {
      if (performance.now() > givenUpAt) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** Reading the rows of the instances. */

import type { SeenInstance } from "../../ports.ts";
import { TOKEN_ID } from "../catalogue.ts";
import { readWhereWritable, textOf } from "../codec.ts";
import { isLiving } from "./prune.ts";
import type { Statement, StatementContext } from "./context.ts";

type Packed = [id: string, label: string, library: string, boundMs: number, seenAt: number];

/** Reads the instances that were seen lately, in the order of their labels. */
export function instancesStatement(
  { table, statementTime }: StatementContext,
): Statement<[], SeenInstance[]> {
  return {
    action: "list instances",
    isRead: true,
    text: readWhereWritable(`select coalesce(pg_catalog.json_agg(
  pg_catalog.json_build_array(i.id, i.label, i.library, i.bound_ms, i.seen_at)
  order by i.label collate "C", i.id collate "C"
)::text, '[]') from ${table.instances.quoted} as i
where i.id <> '${TOKEN_ID}' and ${isLiving("i", statementTime)}`),
    encode: () => [],
    decode: (rows) =>
      (JSON.parse(textOf(rows[0]!.circuit)!) as Packed[])
        .map(([id, label, library, boundMs, seenAt]) => ({ id, label, library, boundMs, seenAt })),
  };
}

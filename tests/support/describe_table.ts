import type postgres from "postgres";
import { parseTableName } from "../../src/postgres/identifier.ts";

/** A table as the catalogue describes it, in lines that compare: the part of pg_dump that matters. */
export async function describeTable(sql: postgres.Sql, table: string): Promise<string> {
  const columns = await sql`
    select format('  %s %s%s%s%s', attname, format_type(atttypid, atttypmod),
      case when attcollation <> 0 then ' collate ' || collname else '' end,
      case when attnotnull then ' not null' else '' end,
      coalesce(' default ' || pg_get_expr(adbin, adrelid), '')) as line
    from pg_attribute
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    left join pg_collation on pg_collation.oid = attcollation
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
    order by attnum`;
  const constraints = await sql`
    select '  ' || pg_get_constraintdef(oid) as line from pg_constraint
    where conrelid = ${table}::regclass and contype <> 'n' order by 1`;
  const indexes = await sql`
    select replace(pg_get_indexdef(indexrelid), quote_ident(relname), 'NAME') as line
    from pg_index join pg_class on pg_class.oid = indexrelid
    where indrelid = ${table}::regclass order by 1`;
  const triggers = await sql`
    select '  ' || tgname as line from pg_trigger
    where tgrelid = ${table}::regclass and not tgisinternal order by 1`;
  const [facts] = await sql`
    select array_to_string(reloptions, ', ') as options, obj_description(oid, 'pg_class') as remark,
      relpersistence as persistence
    from pg_class where oid = ${table}::regclass`;
  return [
    `persistence ${facts!.persistence}`,
    "columns",
    ...columns.map((row) => row.line),
    "constraints",
    ...constraints.map((row) => row.line),
    "indexes",
    ...indexes.map((row) => `  ${row.line}`.replace(/ ON .* USING/, " ON table USING")),
    "triggers",
    ...triggers.map((row) => row.line),
    `options ${facts!.options}`,
    `comment ${facts!.remark}`,
    "",
  ].join("\n");
}

/** Everything that belongs to a table of circuits, in lines that compare. */
export async function describeSchema(
  sql: postgres.Sql,
  table = "stoma_circuit_breakers",
): Promise<string> {
  const names = parseTableName("describe", table);
  const parts: string[] = [];
  for (
    const [title, { quoted }] of [
      ["circuits", names],
      ["changes", names.changes],
      ["instances", names.instances],
      ["epoch", names.epoch],
    ] as const
  ) {
    parts.push(`# ${title}\n${await describeTable(sql, quoted)}`);
  }
  const [sequence] = await sql`
    select format('  %s increment %s cache %s maximum %s%s', seqtypid::regtype, seqincrement, seqcache,
      seqmax, case when seqcycle then ' cycle' else '' end) as line
    from pg_sequence where seqrelid = ${names.versions.quoted}::regclass`;
  parts.push(`# versions\n${sequence!.line}\n`);
  for (const view of ["overview", "timeline"] as const) {
    const columns = await sql`
      select format('  %s %s: %s', attname, format_type(atttypid, atttypmod),
        coalesce(col_description(attrelid, attnum), 'no comment')) as line
      from pg_attribute where attrelid = ${names[view].quoted}::regclass and attnum > 0
      order by attnum`;
    parts.push(`# ${view}\n${columns.map(({ line }) => `${line}\n`).join("")}`);
  }
  return parts.join("\n");
}

/** The same with the lines of each table in an order of their own: upgrades add columns at the end. */
export function unordered(description: string): string {
  return description.split("\n\n").map((part) => {
    const [title, ...lines] = part.split("\n");
    return [title, ...lines.sort()].join("\n");
  }).join("\n\n");
}

import type postgres from "postgres";

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
    select replace(pg_get_indexdef(indexrelid), relname, 'NAME') as line
    from pg_index join pg_class on pg_class.oid = indexrelid
    where indrelid = ${table}::regclass order by 1`;
  const [facts] = await sql`
    select array_to_string(reloptions, ', ') as options, obj_description(oid, 'pg_class') as remark
    from pg_class where oid = ${table}::regclass`;
  return [
    "columns",
    ...columns.map((row) => row.line),
    "constraints",
    ...constraints.map((row) => row.line),
    "indexes",
    ...indexes.map((row) => `  ${row.line}`.replace(/ ON .* USING/, " ON table USING")),
    `options ${facts!.options}`,
    `comment ${facts!.remark}`,
    "",
  ].join("\n");
}

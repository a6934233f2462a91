/**
 * The tables and the sequence: statements of plpgsql that compare them with the server's catalogue and
 * plan what is missing or different. Each table is compared by what it is: names of indexes and
 * constraints do not matter.
 */

import { type Column, type Index, type Table, TABLES } from "../catalogue.ts";
import { quoteLiteral } from "../identifier.ts";

const texts = (values: readonly string[]) =>
  `array[${values.map((value) => quoteLiteral(value)).join(", ")}]::text[]`;

const literal = (text: string | undefined) =>
  text === undefined ? "null::text" : quoteLiteral(text);

/** Statements that plan missing tables with their indexes, and the sequence. */
export function planMissing(): string {
  const tables = TABLES.map((table) => `
    if ${table.part} is null then
      plan := array_append(plan, 'create ${
    table.isUnlogged ? "unlogged " : ""
  }table ' || ${table.part}_name || ${
    quoteLiteral(` (\n  ${
      [
        ...table.columns.map(({ definition }) => definition),
        ...table.primaryKey === undefined ? [] : [`primary key (${table.primaryKey})`],
        ...table.check === undefined ? [] : [`check (${table.check})`],
      ].join(",\n  ")
    }\n)${table.storage.length === 0 ? "" : ` with (\n  ${table.storage.join(",\n  ")}\n)`}`)
  });${
    table.indexes.map((index) => `
      plan := array_append(plan, format(${createIndex(index)}, ${table.part}_name));`).join("")
  }
      made := array_append(made, ${table.part}_name);
    end if;`);
  return `${tables.join("")}
    if versions is null then
      plan := array_append(plan, 'create sequence ' || versions_name || ' as bigint cache 1');
      made := array_append(made, versions_name);
    elsif exists (
      select from pg_sequence where seqrelid = versions and (
        seqtypid <> 'bigint'::regtype or seqincrement <> 1 or seqcache <> 1 or seqcycle
        or seqmax <> 9223372036854775807
      )
    ) then
      plan := array_append(plan, 'alter sequence ' || versions_name ||
        ' as bigint increment by 1 maxvalue 9223372036854775807 cache 1 no cycle');
      needs_lock := true;
    end if;`;
}

function columnValues(): string {
  return TABLES.flatMap(({ part, columns }) => columns.map((column, i) => values(part, column, i)))
    .join(",\n        ");
}

function values(part: string, column: Column, place: number): string {
  return `('${part}', ${place}, '${column.name}', '${column.type}', ${column.isCollatedC}, ` +
    `${column.isRequired}, ${literal(column.default)}, ${literal(column.definition)})`;
}

/** Statements that plan what differs in the columns of tables that exist. */
export function planColumns(fillAddedColumns: string): string {
  return `
    for item in
      select present.part, present.name as table_name,
        string_agg(action.sql, ', ' order by expected.place, action.place) as actions,
        string_agg(
          case when not attribute.attnotnull and expected.is_required and expected.value is not null
            then format('%I = coalesce(%I, %s)', expected.name, expected.name, expected.value) end, ', '
        ) filter (where action.place = 1) as fills,
        bool_or(attribute.attnum is null) as is_adding
      from (values
        ${columnValues()}
      ) as expected (part, place, name, type, is_collated_c, is_required, value, definition)
      join (values ${
    TABLES.map(({ part }) => `('${part}', ${part}, ${part}_name)`).join(", ")
  }) as present (part, id, name) on present.part = expected.part and present.id is not null
      left join pg_attribute as attribute on attribute.attrelid = present.id
        and attribute.attname::text = expected.name and not attribute.attisdropped
      left join pg_attrdef as given
        on given.adrelid = attribute.attrelid and given.adnum = attribute.attnum
      left join pg_collation as sorting on sorting.oid = attribute.attcollation,
      lateral (select
        format_type(attribute.atttypid, attribute.atttypmod) <> expected.type
          or (coalesce(sorting.collname::text, '') = 'C') <> expected.is_collated_c as is_other_type,
        coalesce(pg_get_expr(given.adbin, given.adrelid), '') <> coalesce(expected.value, '')
          as has_other_default
      ) as facts,
      lateral (values
        (1, case when attribute.attnum is null
          then format('add column if not exists %s', expected.definition) end),
        (2, case when attribute.attidentity <> ''
          then format('alter column %I drop identity', expected.name) end),
        (3, case when facts.is_other_type and given.oid is not null
          then format('alter column %I drop default', expected.name) end),
        (4, case when facts.is_other_type
          then format('alter column %1$I type %2$s%3$s using %1$I::%2$s', expected.name, expected.type,
            case when expected.is_collated_c then ' collate "C"'
              when expected.type = 'text' then ' collate "default"' else '' end) end),
        (5, case when attribute.attnum is not null and (facts.has_other_default or facts.is_other_type)
          then case when expected.value is not null
              then format('alter column %I set default %s', expected.name, expected.value)
            when given.oid is not null then format('alter column %I drop default', expected.name) end
          end),
        (6, case when attribute.attnotnull <> expected.is_required
          then format('alter column %I %s not null', expected.name,
            case when expected.is_required then 'set' else 'drop' end) end)
      ) as action (place, sql)
      group by present.part, present.name
    loop
      continue when item.actions is null;
      if item.fills is not null then
        plan := array_append(plan, format('update %s set %s', item.table_name, item.fills));
      end if;
      plan := array_append(plan, format('alter table %s %s', item.table_name, item.actions));
      if item.part = 'circuits' then
        needs_lock := true;
        ${fillAddedColumns.trim()}
      end if;
    end loop;`;
}

/** Statements that plan missing keys and indexes, storage settings, and what a crash empties. */
export function planIndexes(): string {
  return TABLES.map(planIndexesOf).join("");
}

function planIndexesOf(table: Table): string {
  const { part, primaryKey, storage, check, isUnlogged } = table;
  const needsLock = part === "circuits" ? "\n      needs_lock := true;" : "";
  const plan = (condition: string, ...statements: string[]) => `
    if ${part} is not null and ${condition} then${
    statements.map((statement) => `
      plan := array_append(plan, format(${statement}, ${part}_name));`).join("")
  }${needsLock}
    end if;`;
  const key = primaryKey === undefined ? "" : plan(
    `not ${hasIndex(part, [primaryKey], true)}`,
    ...part === "circuits" ? [] : [
      `'delete from %1$s as one using %1$s as other
        where one.ctid < other.ctid and one.${primaryKey} = other.${primaryKey}'`,
    ],
    `'alter table %s add primary key (${primaryKey})'`,
  );
  const indexes = table.indexes.map((index) =>
    plan(
      `not ${hasIndex(part, index.columns, index.isUnique, index.condition)}`,
      createIndex(index),
    )
  );
  const checked = check === undefined ? "" : plan(
    `not exists (
      select from pg_constraint where conrelid = ${part} and contype = 'c' and convalidated
        and pg_get_constraintdef(oid) = 'CHECK (${check})'
    )`,
    `'delete from %s where (${check}) is not true'`,
    `'alter table %s add check (${check})'`,
  );
  // A table of circuits that a crash empties is its owner's choice.
  const persistence = part === "circuits" ? "" : plan(
    `(select relpersistence from pg_class where oid = ${part}) <> '${isUnlogged ? "u" : "p"}'`,
    `'alter table %s set ${isUnlogged ? "unlogged" : "logged"}'`,
  );
  const settings = storage.length === 0 ? "" : `
    if ${part} is not null and not (
      select coalesce(reloptions, '{}') @> ${texts(storage)} from pg_class where oid = ${part}
    ) then
      plan := array_append(plan, format('alter table %s set (${
    storage.join(", ")
  })', ${part}_name));
    end if;`;
  return `${key}${indexes.join("")}${checked}${persistence}${settings}`;
}

/** The statement that makes an index on a table, as a literal for `format`. */
function createIndex({ columns, condition }: Index): string {
  const where = condition === undefined ? "" : ` where ${condition}`;
  return quoteLiteral(`create index on %s (${columns.join(", ")})${where}`);
}

function hasIndex(
  part: string,
  columns: readonly string[],
  isUnique: boolean,
  condition?: string,
): string {
  return `exists (
      select from pg_index as entry
      join pg_class as index on index.oid = entry.indexrelid
      join pg_am as method on method.oid = index.relam
      where entry.indrelid = ${part} and entry.indisvalid and entry.indexprs is null
        and method.amname = 'btree'${
    isUnique ? " and entry.indisunique and entry.indimmediate" : ""
  }
        and coalesce(pg_get_expr(entry.indpred, entry.indrelid), '') = ${
    quoteLiteral(condition ?? "")
  }
        and array(
          select attribute.attname::text
          from unnest(entry.indkey::smallint[]) with ordinality as place (number, rank)
          join pg_attribute as attribute
            on attribute.attrelid = entry.indrelid and attribute.attnum = place.number
          where place.rank <= entry.indnkeyatts order by place.rank
        ) = ${texts(columns)}
    )`;
}

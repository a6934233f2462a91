/**
 * Triggers for every real change of a circuit's state, by any statement of any client. The row
 * remembers the change, and the commit sends one notification. Recording a result does not change
 * `version` and fires no trigger.
 */

import { DIGEST_DIGITS } from "../key.ts";
import { REMEMBERED_CHANGES } from "../ports.ts";
import { quoteLiteral, type TableName } from "./identifier.ts";

/** The name of the channel of a table's changes, before the table's oid. */
export const CHANNEL_PREFIX = "circuit_breaker_";

/** A setting of a transaction whose deletes are not announced. */
export const SILENCE = "circuit_breaker.silence";

/**
 * The tables of a schema share one function. A release with another body needs another name, because
 * instances of an older release may still use this one.
 */
const FUNCTION = "circuit_breaker_changed";

/**
 * The function notifies with a digest of the key and the row's version, which is 0 for a deleted row.
 * The row remembers its changes, the newest first. Each change is three numbers: version, time, and
 * state (0 closed, 1 open, 2 half-open). A forced state counts instead of the circuit's own.
 */
const BODY = `
declare
  circuit record;
  version bigint := 0;
begin
  if TG_OP = 'DELETE' then
    circuit := old;
  else
    circuit := new;
    version := new.version;
  end if;
  perform pg_notify(
    '${CHANNEL_PREFIX}' || TG_RELID,
    left(encode(sha256(convert_to(circuit.key, 'UTF8')), 'hex'), ${DIGEST_DIGITS}) || ' ' || version
  );
  if TG_OP <> 'UPDATE' then
    return null;
  end if;
  new.changes := (array[new.version, new.updated_at, case
    when new.forced_state is not null and coalesce(new.updated_at < new.forced_until, true)
      then case new.forced_state when 'open' then 1 else 0 end
    when new.state = 'open' then 1
    when new.state = 'half-open' then 2
    else 0 end] || old.changes)[1:${REMEMBERED_CHANGES * 3}];
  return new;
end`;

const TRIGGERS = [
  {
    name: "circuit_breaker_moved",
    event: "before update of version",
    when: "old.version is distinct from new.version",
  },
  { name: "circuit_breaker_made", event: "after insert", when: "new.version > 0" },
  {
    name: "circuit_breaker_gone",
    event: "after delete",
    // Pruning deletes thousands of idle rows at once: no instance needs to learn of them.
    when: "(old.version > 0 or old.failure_count > 0) " +
      `and coalesce(current_setting('${SILENCE}', true), '') <> 'on'`,
  },
];

/** Statements of the migration, which declares `home`. */
export function changeTriggers({ quoted, literal }: TableName): string {
  const triggers = TRIGGERS.map(({ name, event, when }) =>
    `drop trigger if exists ${name} on ${quoted};
  execute format(
    'create trigger ${name} ${event} on %s for each row when (%s) execute function %I.${FUNCTION}()',
    ${literal}::regclass, ${quoteLiteral(when)}, home
  );`
  );
  return `select space.nspname into home
  from pg_class as class join pg_namespace as space on space.oid = class.relnamespace
  where class.oid = ${literal}::regclass;
  if to_regprocedure(format('%I.${FUNCTION}()', home)) is null then
    execute format(
      'create function %I.${FUNCTION}() returns trigger language plpgsql as %L',
      home, ${quoteLiteral(BODY)}
    );
  end if;
  ${triggers.join("\n  ")}`;
}

/** Statements of plpgsql that compare the views with the catalogue and plan to make them again. */

import { quoteLiteral } from "../identifier.ts";
import { type View, VIEWS } from "./views.ts";

/** Statements that plan views that are missing or different. Privileges on a view stay. */
export function planViews(): string {
  return VIEWS.map(planView).join("");
}

/** Statements that plan comments that are missing or different, where the role may write them. */
export function planComments(): string {
  const comments = VIEWS.flatMap(({ part, columns, comments }) =>
    columns.map((name, i) => `(${part}, ${part}_name, '${name}', ${quoteLiteral(comments[i]!)})`)
  );
  return `
    for item in
      select expected.view_name, expected.name, expected.comment
      from (values
        ${comments.join(",\n        ")}
      ) as expected (view, view_name, name, comment)
      join pg_attribute as attribute
        on attribute.attrelid = expected.view and attribute.attname::text = expected.name
      where pg_has_role(owner, 'usage')
        and col_description(expected.view, attribute.attnum) is distinct from expected.comment
    loop
      plan := array_append(plan, format(
        'comment on column %s.%I is %L', item.view_name, item.name, item.comment
      ));
    end loop;`;
}

function planView({ part, edition, columns, reads, definition }: View): string {
  const names = `array[${columns.map((name) => `'${name}'`).join(", ")}]::text[]`;
  return `
    if ${part} is null then
      plan := array_append(plan, 'create view ' || ${part}_name || ' as ' || ${definition});
      made := array_append(made, ${part}_name);
    else
      columns := array(
        select attname::text from pg_attribute
        where attrelid = ${part} and attnum > 0 and not attisdropped order by attnum
      );
      if columns <> ${names} then
        -- A view with other columns cannot be replaced. It gets its privileges back.
        plan := array_append(plan, 'drop view ' || ${part}_name);
        plan := array_append(plan, 'create view ' || ${part}_name || ' as ' || ${definition});
        made := array_append(made, ${part}_name);
        plan := plan || array(
          select format('grant %s on %s to %s%s', privilege.privilege_type, ${part}_name,
            case when privilege.grantee = 0::oid then 'public'
              else quote_ident(pg_get_userbyid(privilege.grantee)) end,
            case when privilege.is_grantable then ' with grant option' else '' end)
          from pg_class as class, aclexplode(class.relacl) as privilege
          where class.oid = ${part} and privilege.grantee <> owner
        );
      elsif pg_get_viewdef(${part}) !~ '\\m${edition}\\M' or array(
        select distinct held.refobjid from pg_depend as held
        join pg_rewrite as rule on rule.oid = held.objid
        where held.classid = 'pg_rewrite'::regclass and rule.ev_class = ${part}
          and held.refclassid = 'pg_class'::regclass and held.refobjid <> ${part}
        order by held.refobjid
      ) <> array(select unnest(array[${reads.join(", ")}]) as id order by id) then
        plan := array_append(plan, 'create or replace view ' || ${part}_name || ' as ' || ${definition});
      end if;
    end if;`;
}

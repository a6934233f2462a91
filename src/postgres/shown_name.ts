/** What is shown of names from the catalogue: others could hold a secret or harm a terminal. */

const PLAIN = /^[A-Za-z0-9_$-]{1,63}$/;

/** A name in quotes where it is a plain word, otherwise its length. */
export function shownName(name: string): string {
  return PLAIN.test(name) ? `"${name}"` : `(a name of ${name.length} characters)`;
}

/** The same of a name with its schema. */
export function shownRelation({ schema, name }: { schema: string; name: string }): string {
  return `${shownName(schema)}.${shownName(name)}`;
}

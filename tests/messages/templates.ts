/** The messages that the sources can produce, as patterns. */

const ROOT = new URL("../../", import.meta.url);

/** A message in the sources. */
export interface Template {
  /** Where it stands, and its text with `${}` for what is filled in. */
  name: string;
  /** Matches every message that it makes. */
  pattern: RegExp;
}

/** Pieces of a text: a string where it is fixed, `undefined` where it is filled in. */
type Pieces = (string | undefined)[];

/** Every message template below `src/`: what an error is made with, and what begins like a message. */
export async function templates(): Promise<Template[]> {
  const found: Template[] = [];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      const path = folder + name;
      if (isDirectory) await visit(path + "/");
      else found.push(...templatesOf(path, await Deno.readTextFile(new URL(path, ROOT))));
    }
  };
  await visit("src/");
  return found;
}

/** The templates of one module, according to Deno's own parser. */
export function templatesOf(path: string, source: string): Template[] {
  const found = new Map<string, Template>();
  const add = (node: Deno.lint.Node) => {
    const pieces = piecesOf(node);
    if (pieces.every((piece) => piece === undefined)) return;
    const name = `${path}: ${pieces.map((piece) => piece ?? "${}").join("")}`;
    const body = pieces.map((piece) => piece === undefined ? ".+" : escaped(piece)).join("");
    found.set(name, { name, pattern: new RegExp(`^${body}$`, "s") });
  };
  const begins = (node: Deno.lint.Node) => {
    if (!piecesOf(node)[0]?.startsWith("Cannot ")) return;
    add(wholeOf(node));
  };
  Deno.lint.runPlugin(
    {
      name: "messages",
      rules: {
        templates: {
          create: () => ({
            NewExpression({ callee, arguments: [message] }) {
              const isError = callee.type === "Identifier" && callee.name.endsWith("Error");
              if (isError && message !== undefined) add(message);
            },
            Literal: begins,
            TemplateLiteral: begins,
          }),
        },
      },
    },
    path,
    source,
  );
  return [...found.values()];
}

function piecesOf(node: Deno.lint.Node): Pieces {
  switch (node.type) {
    case "Literal":
      return [typeof node.value === "string" ? node.value : undefined];
    case "TemplateLiteral":
      return node.quasis.flatMap(({ cooked }, index) =>
        index === 0 ? [cooked] : [undefined, cooked]
      )
        .filter((piece) => piece !== "");
    case "BinaryExpression":
      return [...piecesOf(node.left), ...piecesOf(node.right)];
  }
  return [undefined];
}

/** The sum of strings that a string is a part of. */
function wholeOf(node: Deno.lint.Node): Deno.lint.Node {
  const { parent } = node as { parent?: Deno.lint.Node };
  return parent?.type === "BinaryExpression" ? wholeOf(parent) : node;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

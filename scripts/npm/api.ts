/**
 * What programs can use of the package: the exports of every entry point, with their declarations.
 *
 * @module
 */

import ts from "typescript";
import { ROOT } from "../workspace.ts";
import type { Manifest } from "./manifest.ts";

/** One export of a module. */
interface Export {
  /** The module that declares it, as a path below the root, and its name there. */
  readonly origin: string;
  /** Its declarations, without comments; several where it is overloaded. */
  readonly text: string;
  /** Whether it is a type alone, or exported as one. */
  readonly isType: boolean;
}

type Exports = Map<string, Export>;

/**
 * Describes the package: a section for each entry point, in it every export by name. What an entry point
 * exports of another one's is named there, and described once.
 *
 * @param manifest Its entry points; their modules are read.
 * @param root The folder that has them.
 */
export async function describeApi(
  { exports }: Pick<Manifest, "exports">,
  root: URL = ROOT,
): Promise<string> {
  const modules = new Modules(root);
  const described = new Map<string, string>();
  const sections: string[] = [];
  for (const [entry, path] of Object.entries(exports)) {
    const found = await modules.exportsOf(new URL(path, root).href);
    const lines = [...found].toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, each]) => {
      const first = described.get(each.origin);
      const kind = each.isType ? "type " : "";
      if (first !== undefined) return `${kind}${name} is ${first}`;
      described.set(each.origin, `${name} of ${entry}`);
      return `${kind}${name}\n${each.text.replace(/^/gm, "  ")}`;
    });
    sections.push(`## ${entry}\n\n${lines.join("\n\n")}\n`);
  }
  return sections.join("\n");
}

/** Reads modules, each one once. */
class Modules {
  readonly #found = new Map<string, Promise<Exports>>();
  readonly #printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed });

  constructor(private readonly root: URL) {}

  exportsOf(url: string): Promise<Exports> {
    let found = this.#found.get(url);
    if (found === undefined) this.#found.set(url, found = this.#read(url));
    return found;
  }

  async #read(url: string): Promise<Exports> {
    const source = await Deno.readTextFile(new URL(url));
    // The sources are written for it: `isolatedDeclarations`.
    const { outputText } = ts.transpileDeclaration(source, { fileName: url, compilerOptions: {} });
    const file = ts.createSourceFile(url, outputText, ts.ScriptTarget.Latest, true);
    const found: Exports = new Map();
    for (const statement of file.statements) {
      if (ts.isExportDeclaration(statement)) {
        for (const [name, each] of await this.#reexports(statement, url)) found.set(name, each);
      } else if (isExported(statement)) {
        for (const name of namesOf(statement)) this.#declare(found, name, statement, file);
      }
    }
    return found;
  }

  /** Adds a declaration, also to those that its name has already. */
  #declare(found: Exports, name: string, statement: ts.Statement, file: ts.SourceFile): void {
    const before = found.get(name);
    const text = this.#printer.printNode(ts.EmitHint.Unspecified, statement, file)
      .replace(/^export (declare )?/, "");
    const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
    found.set(name, {
      origin: `${file.fileName.slice(this.root.href.length)}#${name}`,
      text: before === undefined ? text : `${before.text}\n${text}`,
      isType: isType && before?.isType !== false,
    });
  }

  async #reexports(statement: ts.ExportDeclaration, url: string): Promise<[string, Export][]> {
    const { exportClause } = statement;
    const from = statement.moduleSpecifier;
    if (exportClause === undefined) return [...await this.exportsOf(targetOf(from, url))];
    if (!ts.isNamedExports(exportClause)) throw unknown(statement, url);
    return await Promise.all(
      exportClause.elements.map(async (element): Promise<[string, Export]> => {
        const { name, propertyName = name } = element;
        const imported = from === undefined ? importOf(propertyName.text, statement) : undefined;
        const target = from ?? imported?.from;
        if (target === undefined) throw unknown(statement, url);
        const found = await this.exportsOf(targetOf(target, url));
        const each = found.get(imported?.name ?? propertyName.text);
        if (each === undefined) throw unknown(statement, url);
        const isType = each.isType || element.isTypeOnly || statement.isTypeOnly;
        return [name.text, { ...each, isType }];
      }),
    );
  }
}

/** Where a module has a name from that it imports, and the name there. */
function importOf(
  local: string,
  { parent }: ts.Node,
): { name: string; from: ts.Expression } | undefined {
  for (const statement of (parent as ts.SourceFile).statements) {
    if (!ts.isImportDeclaration(statement)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings)) continue;
    const found = bindings.elements.find(({ name }) => name.text === local);
    if (found === undefined) continue;
    return { name: (found.propertyName ?? found.name).text, from: statement.moduleSpecifier };
  }
}

function targetOf(specifier: ts.Expression | undefined, url: string): string {
  return new URL((specifier as ts.StringLiteral).text, url).href;
}

function isExported(statement: ts.Statement): boolean {
  return ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false);
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  }
  const { name } = statement as ts.DeclarationStatement;
  return [name?.getText() ?? "default"];
}

function unknown(statement: ts.Statement, url: string): Error {
  return new Error(`Cannot describe the exports of ${url}, received ${statement.getText()}`);
}

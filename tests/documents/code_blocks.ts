/** The code blocks of Markdown pages, each with the heading that it stands under. */

/** A code block. */
export interface CodeBlock {
  /** The page, as a path below the root. */
  readonly page: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
  /** The nearest heading above it, without its marks. */
  readonly heading: string;
  /** What stands behind the opening fence: a language, and what else there is. */
  readonly info: string;
  /** The lines between the fences, each with its end. */
  readonly text: string;
}

const FENCE = /^( *)(`{3,}|~{3,})(.*)$/;

/** All code blocks of a page, in their order. A fence that nothing closes is an error. */
export function codeBlocks(page: string, markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let heading = "";
  let open:
    | { line: number; indent: number; fence: string; info: string; lines: string[] }
    | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    const [, indent = "", fence = "", info = ""] = FENCE.exec(line) ?? [];
    if (open === undefined) {
      if (fence !== "") {
        open = { line: index + 1, indent: indent.length, fence, info: info.trim(), lines: [] };
      } else heading = /^#{1,6} +(.*?) *$/.exec(line)?.[1] ?? heading;
    } else if (fence.startsWith(open.fence) && info.trim() === "") {
      const { lines, info, line: begin } = open;
      const text = lines.map((each) => `${each}\n`).join("");
      blocks.push({ page, line: begin, heading, info, text });
      open = undefined;
    } else {
      const { indent } = open;
      open.lines.push(line.slice(0, indent).trim() === "" ? line.slice(indent) : line);
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the code block does not end`);
  return blocks;
}

/** The pages that people read, as paths below the root. */
export async function readPages(root: URL): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  for (const folder of ["", "docs/"]) {
    for await (const { name, isFile } of Deno.readDir(new URL(folder || ".", root))) {
      if (!isFile || !name.endsWith(".md")) continue;
      pages.set(folder + name, await Deno.readTextFile(new URL(folder + name, root)));
    }
  }
  return pages;
}

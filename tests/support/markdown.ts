/**
 * Reads a Markdown document as the tests of the documents need it: its prose without code, its
 * headings as anchors, and its links. It knows what these documents use: fenced code, tables, lists,
 * quotes, headings, code spans, links, images and plain HTML.
 *
 * @module
 */

/** A paragraph, a list item, a heading, a table cell or the text of an image, on one line. */
export interface Block {
  /** The number of its first line, from 1 on. */
  line: number;
  /** Its Markdown. */
  text: string;
  isHeading: boolean;
}

/** Where a link or an image leads. */
export interface Link {
  line: number;
  target: string;
}

const FENCE = /^[ \t>]*(`{3,}|~{3,})/;
const HEADING = /^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$/;
const LIST_ITEM = /^[ \t]*(?:[-*+]|\d+[.)])[ \t]+/;
const TABLE_ROW = /^[ \t]*\|(.*)\|[ \t]*$/;
const TABLE_RULE = /^[ \t]*\|[ \t:|-]+\|[ \t]*$/;
const DEFINITION = /^ {0,3}\[[^\]]+\]:[ \t]*(\S+)/;
const RULE = /^[ \t]*(?:-{3,}|\*{3,}|_{3,})[ \t]*$/;
/** A code span: as many backticks at its end as at its beginning. */
const CODE_SPAN = /(?<!`)(`+)(?!`)([^]*?[^`])\1(?!`)/g;

/** The document with code and comments blanked: lines stay where they are. */
export function withoutCode(markdown: string): string {
  let fence: string | undefined;
  const lines = markdown.split("\n").map((line) => {
    const [, marks = ""] = FENCE.exec(line) ?? [];
    if (fence === undefined) {
      if (marks === "") return line;
      fence = marks;
    } else if (marks.startsWith(fence) && line.trim().replace(/^[> \t]*/, "") === marks) {
      fence = undefined;
    }
    return "";
  });
  return lines.join("\n").replace(/<!--[^]*?-->/g, (comment) => comment.replace(/[^\n]/g, ""));
}

/** All prose of a document. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  const end = () => {
    if (open !== undefined && open.text.trim() !== "") blocks.push(open);
    open = undefined;
  };
  for (const [index, source] of withoutCode(markdown).split("\n").entries()) {
    const line = index + 1;
    const text = source.replace(/^[ \t]*>[ \t]?/, "");
    const heading = HEADING.exec(text);
    const row = TABLE_ROW.exec(text);
    if (text.trim() === "" || RULE.test(text) || DEFINITION.test(text)) {
      end();
    } else if (heading !== null) {
      end();
      blocks.push({ line, text: heading[1]!, isHeading: true });
    } else if (row !== null) {
      end();
      if (TABLE_RULE.test(text)) continue;
      for (const cell of row[1]!.split(/(?<!\\)\|/)) {
        if (cell.trim() === "") continue;
        blocks.push({ line, text: cell.trim().replaceAll("\\|", "|"), isHeading: false });
      }
    } else {
      if (LIST_ITEM.test(text)) end();
      open ??= { line, text: "", isHeading: false };
      open.text += ` ${text.replace(LIST_ITEM, "").trim()}`;
      open.text = open.text.trim();
    }
  }
  end();
  return blocks.flatMap(splitImages);
}

/** The text of an image is prose of its own. */
function splitImages(block: Block): Block[] {
  const found: Block[] = [];
  const image = /!\[([^\]]*)\]\([^)]*\)|<img\b[^>]*?\balt="([^"]*)"[^>]*>/g;
  const text = block.text.replace(image, (_, alt = "", other = "") => {
    if (alt + other !== "") found.push({ ...block, text: alt + other });
    return "";
  });
  return text.trim() === "" ? found : [{ ...block, text }, ...found];
}

/** What a reader sees of a block: links by their text, each code span as one word. */
export function plainText(text: string): string {
  return text
    .replace(CODE_SPAN, "`code`")
    .replace(/<(?:https?:|mailto:)[^>]*>/g, "address")
    .replace(/<\/?[a-z][^>]*>/gi, "")
    .replace(/!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, "$1")
    .replace(/\[([^\]]*)\]/g, "$1")
    .replace(/https?:\/\/\S+?(?=[.,;:!?)]*(?:\s|$))/g, "address")
    .replaceAll("`", "")
    .replace(/\*+/g, "")
    .replace(/(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, "");
}

/** The anchors that GitHub makes of the headings, and those that the document names itself. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text, isHeading } of blocksOf(markdown)) {
    if (!isHeading) continue;
    const slug = slugOf(text);
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  for (
    const [, name = ""] of withoutCode(markdown).matchAll(/<[a-z]+[^>]*\b(?:id|name)="([^"]+)"/g)
  ) {
    anchors.add(name);
  }
  return anchors;
}

function slugOf(heading: string): string {
  return heading
    .replace(CODE_SPAN, "$2")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "")
    .replaceAll(" ", "-");
}

/** All links and images of a document, those of its HTML too. */
export function linksOf(markdown: string): Link[] {
  const links: Link[] = [];
  const prose = withoutCode(markdown).replace(CODE_SPAN, (span) => span.replace(/[^\n]/g, " "));
  const patterns = [
    /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g,
    /^ {0,3}\[[^\]]+\]:[ \t]*<?([^\s>]+)>?/gm,
    /\b(?:href|src|srcset)="([^"\s]+)[^"]*"/g,
  ];
  for (const pattern of patterns) {
    for (const { 1: target = "", index } of prose.matchAll(pattern)) {
      links.push({ line: prose.slice(0, index).split("\n").length, target });
    }
  }
  return links;
}

import { assert, assertEquals } from "@std/assert";
import { blocksOf, plainText } from "./support/markdown.ts";

const ROOT = new URL("../", import.meta.url);
const MAX_WORDS = 30;

/** A full stop behind one of these ends no sentence. */
const ABBREVIATIONS: readonly string[] = [
  ...["e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.", "incl.", "no.", "fig.", "p.", "pp."],
  ...["Dr.", "Mr.", "Ms.", "St."],
];

/** The sentences of a text without marks, each with its number of words. */
function sentencesOf(text: string): string[] {
  const sentences: string[] = [];
  let words: string[] = [];
  const tokens = text.split(/\s+/).filter((token) => token !== "");
  for (const [index, token] of tokens.entries()) {
    words.push(token);
    if (!endsSentence(token, tokens[index + 1])) continue;
    sentences.push(words.join(" "));
    words = [];
  }
  if (words.length > 0) sentences.push(words.join(" "));
  return sentences;
}

function endsSentence(token: string, next: string | undefined): boolean {
  if (next === undefined) return true;
  const [, marks = ""] = /([.!?…]+)["'”’)\]]*$/.exec(token) ?? [];
  if (marks === "") return false;
  // Three dots leave something out: only a capital letter shows that a sentence has ended.
  if (marks.includes("...") || marks.includes("…")) return /^["'“‘([]*\p{Lu}/u.test(next);
  // A mark in parentheses or quotation marks within a sentence that goes on.
  if (/["'”’)\]]$/.test(token) && /^\p{Ll}/u.test(next)) return false;
  const bare = token.replace(/^["'“‘([]+|["'”’)\]]+$/g, "");
  return !ABBREVIATIONS.some((each) => each.toLowerCase() === bare.toLowerCase());
}

/** Words have a letter or a digit: a dash or a plus sign between spaces is none. */
function countWords(sentence: string): number {
  return sentence.split(" ").filter((token) => /[\p{L}\p{N}]/u.test(token)).length;
}

interface Long {
  line: number;
  words: number;
  sentence: string;
}

/** The sentences of a document that are too long. */
function longSentences(markdown: string): Long[] {
  return blocksOf(markdown).flatMap(({ line, text }) =>
    sentencesOf(plainText(text))
      .map((sentence) => ({ line, words: countWords(sentence), sentence }))
      .filter(({ words }) => words > MAX_WORDS)
  );
}

/** The documents that readers use, as paths below the root. */
async function documents(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["", "docs/"]) {
    for await (const { name } of Deno.readDir(new URL(folder, ROOT))) {
      if (name.endsWith(".md")) found.push(folder + name);
    }
  }
  return found.toSorted();
}

Deno.test("no sentence of the documents has more than 30 words", async () => {
  const paths = await documents();
  assert(paths.includes("docs/rules.md") && paths.includes("README.md"), "none were found");
  const alarms: string[] = [];
  for (const path of paths) {
    for (const each of longSentences(await Deno.readTextFile(new URL(path, ROOT)))) {
      alarms.push(`${path}:${each.line}: ${each.words} words: ${each.sentence}`);
    }
  }
  assertEquals(alarms, []);
});

/** A number of words without a full stop. */
function words(count: number): string {
  return Array.from({ length: count }, (_, index) => `word${index}`).join(" ");
}

Deno.test("a sentence that is too long is found wherever it stands", () => {
  const long = words(31);
  const samples: [markdown: string, words: number, line: number][] = [
    [`${long}.`, 31, 1],
    [`Short.\n\n${long}.\n`, 31, 3],
    [`Short. ${long}. Short.`, 31, 1],
    [`${words(15)}\n${words(16)}.`, 31, 1],
    [`# ${long}`, 31, 1],
    [`- Short.\n- ${long}`, 31, 2],
    [`1. ${words(20)}\n   ${words(20)}`, 40, 1],
    [`> ${words(20)}\n> ${words(20)}`, 40, 1],
    [`| a | b |\n| - | - |\n| x | ${long} |`, 31, 3],
    [`| ${words(16)} \\| ${words(15)} |`, 31, 1],
    [`![${long}](a.png)`, 31, 1],
    [`<img src="a.png"\n  alt="${long}">`, 31, 1],
    // A list does not end what stands before it in the same line, and marks are no ends.
    [`${words(10)}: ${words(10)}; ${words(11)}`, 31, 1],
    [`${words(10)}, e.g. ${words(20)}`, 31, 1],
    [`${words(10)} (i.e. ${words(20)})`, 31, 1],
    [`${words(10)} (really?) ${words(20)}`, 31, 1],
    [`${words(10)}, such as a, b, ... and ${words(20)}`, 35, 1],
    [`${words(10)} version 3.4.7 of postgres.js ${words(20)}`, 34, 1],
    // Code spans, links and addresses are words.
    [`${words(30)} \`a code span\``, 31, 1],
    [`${words(28)} [the text of links](a.md)`, 32, 1],
    [`${words(30)} https://example.com/a.b`, 31, 1],
    [`${words(30)} <https://example.com>`, 31, 1],
    [`**${words(16)}** *${words(15)}*`, 31, 1],
    [`${words(16)} <b>${words(15)}</b>`, 31, 1],
    ["```ts\nconst a = 1;\n```\n" + long, 31, 4],
  ];
  for (const [markdown, count, line] of samples) {
    assertEquals(
      longSentences(markdown).map((each) => [each.words, each.line]),
      [[count, line]],
      markdown,
    );
  }
});

Deno.test("sentences end where a reader sees their end", () => {
  const half = words(16);
  const samples: string[] = [
    `${words(30)}.`,
    `${half}. ${half}.`,
    `${half}. postgres.js ${half}.`,
    `${half}. \`getState\` ${half}.`,
    `${half} \`code\`. ${half}.`,
    `${half}? ${half}!`,
    `${half} (see [below](#a)). ${half}.`,
    `(${half}.) The ${half}.`,
    `"${half}." The ${half}.`,
    `**${half}.** ${half}.`,
    `${half}...) The ${words(15)}.`,
    `${half} - + = ${words(14)}`,
    `- ${half}\n- ${half}`,
    `> - ${half}\n> - ${half}`,
    `> ${half}\n>\n> ${half}`,
    `${words(15)} <br> ${words(15)}`,
    `${half}:\n\n- ${half}`,
    `# ${half}\n${half}`,
    `| ${half} | ${half} |`,
    `| \`a \\| b\` ${half} | ${half} |`,
    `![${half}](a.png) ${half}`,
    `<img src="a.png" alt="${half}"> ${half}`,
    `${words(29)} \`${half}\``,
    `${words(27)} [a link](https://example.com/with/a-long "${half}")`,
    `\`\`\`sh\n${words(40)}\n\`\`\``,
    `- a list\n\n  \`\`\`sh\n  ${words(40)}\n  \`\`\``,
    `~~~\n${words(40)}\n\`\`\`\n${words(40)}\n~~~`,
    `<!-- ${words(40)} -->`,
    `[a]: https://example.com "${words(40)}"`,
  ];
  for (const markdown of samples) assertEquals(longSentences(markdown), [], markdown);
});

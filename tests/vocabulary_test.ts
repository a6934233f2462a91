import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** The files and folders whose language this test checks, beside the documents in the root. */
const SCANNED: readonly string[] = ["src/", "mod.ts", "docs/", "scripts/", "tests/"];

/** Words that need a named subject, or a field's own word, instead. Whole words in any case. */
const WORDS: readonly string[] = [
  // Who does it? Name the caller, the instance, the operator.
  ...["whoever", "whomever", "somebody", "nobody", "anybody", "everybody"],
  // Report, return, deliver, announce; distinguish.
  ...["tell", "tells", "telling", "told"],
  // Railways.
  ...["lane", "lanes", "seat", "seats", "journey", "journeys"],
  ...["depart", "departs", "departed", "departing", "departure"],
  ...["travel", "travels", "traveled", "travelled", "travelling"],
  ...["arrive", "arrives", "arrived", "arriving", "arrival"],
  // Airlines. A statement "in flight" is the field's own word.
  ...["flying", "land", "lands", "landed", "landing", "takeoff", "touchdown"],
  // Names of classes that were private to this project.
  ...["caretaker", "unkept", "insist", "insists"],
];

/** The same for several words in a row, in which line ends count as spaces. */
const PHRASES: readonly RegExp[] = [
  /\bso many\b/,
  /\b(?:am|is|are|was|were|be|been|being) at it\b/,
  /\b(?:take|takes|took|taken|taking) off\b/,
  /\b(?:touch|touches|touched|touching) down\b/,
  /\b(?:bring|brings|brought|bringing) (?:it |them )?back\b/,
  // "Turn" has ordinary meanings, which these leave alone: "turn the option off".
  /\b(?:its|their|this|that|whose) turn\b/,
];

/** A name that ends in "turn" counts in turns: `writtenTurn`. It is matched word by word. */
const NAME_ENDS: readonly string[] = ["turn", "turns"];

/** What may stay in a file or a folder, and why. An exception that no file needs is an error. */
const EXCEPTIONS: readonly { path: string; word: string; reason: string }[] = [];

/** A text in which words are looked for. */
interface Scanned {
  text: string;
  /** Whether it is an identifier. */
  isName: boolean;
}

interface Found {
  word: string;
  /** The words around it. */
  context: string;
}

/** The words and phrases of the list that a text contains. */
function findWords({ text, isName }: Scanned): Found[] {
  const plain = isName ? splitName(text) : joinLines(text);
  const lower = plain.toLowerCase();
  const patterns = [...WORDS.map((word) => new RegExp(`\\b${word}\\b`)), ...PHRASES];
  if (isName) patterns.push(...NAME_ENDS.map((word) => new RegExp(`\\b${word}$`)));
  return patterns.flatMap((pattern) =>
    [...lower.matchAll(new RegExp(pattern, "g"))].map(({ 0: word, index }) => ({
      word,
      context: isName ? text : plain.slice(Math.max(0, index - 30), index + word.length + 30),
    }))
  );
}

/** `writtenTurn` and `WRITTEN_TURN` as "written turn". */
function splitName(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3 $2$4").replace(
    /[_$#]+/g,
    " ",
  );
}

/** Prose on one line, without the marks that begin the lines of a comment, a list or a quote. */
function joinLines(text: string): string {
  return text.replace(/\n[ \t]*(?:\*|\/\/|>|-)?[ \t]*/g, " ");
}

/** The texts of a module: its comments, its names, and the titles of its tests. No other strings. */
function textsOfModule(path: string, source: string): Scanned[] {
  const texts: Scanned[] = [];
  const addTitle = (node: unknown) => {
    const { type, value, quasis } = node as {
      type?: string;
      value?: unknown;
      quasis?: { raw: string }[];
    };
    if (type === "Literal" && typeof value === "string") texts.push({ text: value, isName: false });
    for (const { raw } of quasis ?? []) texts.push({ text: raw, isName: false });
  };
  const plugin: Deno.lint.Plugin = {
    name: "vocabulary",
    rules: {
      texts: {
        create: (context) => ({
          Program() {
            const comments = context.sourceCode.getAllComments();
            texts.push(...joinComments(comments.map(({ value }) => value), source));
          },
          Identifier: ({ name }) => void texts.push({ text: name, isName: true }),
          PrivateIdentifier: ({ name }) => void texts.push({ text: name, isName: true }),
          CallExpression({ callee, arguments: [title] }) {
            const name = callee.type === "Identifier"
              ? callee.name
              : callee.type === "MemberExpression" && callee.property.type === "Identifier"
              ? callee.property.name
              : "";
            if (["test", "step", "describe", "it"].includes(name)) addTitle(title);
          },
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, path, source);
  return texts;
}

/** Line comments on successive lines are one text, so that a phrase is found across their ends. */
function joinComments(values: string[], source: string): Scanned[] {
  const texts: Scanned[] = [];
  let end = -1;
  for (const value of values) {
    const begin = source.indexOf(value, Math.max(end, 0));
    const isNext = end >= 0 && /^\n[ \t]*\/\/$/.test(source.slice(end, begin));
    if (isNext) texts[texts.length - 1]!.text += `\n${value}`;
    else texts.push({ text: value, isName: false });
    end = begin + value.length;
  }
  return texts;
}

function textsOf(path: string, source: string): Scanned[] {
  return path.endsWith(".ts") ? textsOfModule(path, source) : [{ text: source, isName: false }];
}

/** What a file says that it should not, each once, and the exceptions that it needs. */
function check(path: string, source: string): { alarms: string[]; excepted: Set<string> } {
  const alarms = new Set<string>();
  const excepted = new Set<string>();
  for (const { word, context } of textsOf(path, source).flatMap(findWords)) {
    const exception = EXCEPTIONS.find((each) => path.startsWith(each.path) && each.word === word);
    if (exception === undefined) alarms.add(`${path}: "${word}" in "${context.trim()}"`);
    else excepted.add(keyOf(exception));
  }
  return { alarms: [...alarms], excepted };
}

function keyOf({ path, word }: { path: string; word: string }): string {
  return `${path}: "${word}"`;
}

async function scannedFiles(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const visit = async (path: string) => {
    if (!path.endsWith("/")) {
      if (/\.(ts|md)$/.test(path)) found.set(path, await Deno.readTextFile(new URL(path, ROOT)));
      return;
    }
    for await (const { name, isDirectory } of Deno.readDir(new URL(path, ROOT))) {
      await visit(path + name + (isDirectory ? "/" : ""));
    }
  };
  for (const path of SCANNED) await visit(path);
  for await (const { name } of Deno.readDir(ROOT)) if (name.endsWith(".md")) await visit(name);
  return found;
}

Deno.test("comments, names and documents use the words of the field", async () => {
  const files = await scannedFiles();
  assert(files.has("src/store.ts") && files.has("README.md"), "the files were not found");
  const checked = [...files].map(([path, source]) => check(path, source));
  assertEquals(checked.flatMap(({ alarms }) => alarms), []);
  const excepted = new Set(checked.flatMap((each) => [...each.excepted]));
  assertEquals(EXCEPTIONS.map(keyOf).filter((key) => !excepted.has(key)), [], "not needed");
});

Deno.test("every kind of text and of word raises an alarm", () => {
  const samples: [path: string, source: string, word: string][] = [
    ["a.ts", "/** Whoever calls it. */", "whoever"],
    ["a.ts", "// NOBODY waits", "nobody"],
    ["a.ts", "/**\n * Removes so\n * many of them.\n */", "so many"],
    ["a.ts", "// Removes so\n// many of them.", "so many"],
    ["a.ts", "// one\nf();\n  // Another is at\n  // it.", "is at it"],
    ["a.ts", "const a = 1; // what was told", "told"],
    ["a.ts", "// Which comes first, its turn says.", "its turn"],
    ["a.ts", "// They are brought back.", "brought back"],
    ["a.ts", "class A { #toldAt = 1; }", "told"],
    ["a.ts", "class Lane {}", "lane"],
    ["a.ts", "const MAX_SEATS = 1;", "seats"],
    ["a.ts", "a.tell();", "tell"],
    ["a.ts", "writtenTurn++;", "turn"],
    ["a.ts", "type HTTPLane = 1;", "lane"],
    ["a.ts", 'Deno.test("nobody waits", () => {});', "nobody"],
    ["a.ts", "test(`${a} and nobody`, () => {});", "nobody"],
    ["a.ts", 't.step("arrives", () => {});', "arrives"],
    ["a.md", "Calls that\narrive", "arrive"],
    ["a.md", "- one of so\n  many", "so many"],
    ["a.md", "It\ntakes off", "takes off"],
  ];
  for (const [path, source, word] of samples) {
    assertEquals(
      textsOf(path, source).flatMap(findWords).map((found) => found.word),
      [word],
      source,
    );
  }
  for (const word of WORDS) {
    assertEquals(findWords({ text: `a ${word}.`, isName: false }).map((each) => each.word), [word]);
  }
  assertEquals(check("a.ts", "// told and told").alarms, [
    'a.ts: "told" in "told and told"',
  ]);
});

Deno.test("other words and strings raise none", () => {
  const samples: [path: string, source: string][] = [
    ["a.ts", "/** A landmark, an island, planes, returns and retold. */"],
    ["a.ts", "function returnDeferred(turnOff: boolean) { return turnOff; }"],
    ["a.ts", "// Turn it off in this place. A round trip, a statement in flight."],
    ["a.ts", 'throw new Error("nobody listens");'],
    ["a.ts", "const sql = `-- so many`;"],
    ["a.ts", "const a = /told/;"],
    ["a.ts", "// so\nf();\n// many"],
    ["a.md", "many; so"],
  ];
  for (const [path, source] of samples) {
    assertEquals(textsOf(path, source).flatMap(findWords), [], source);
  }
});

/** The repository's TypeScript files, read for the tests that look at the project itself. */

import { readdirSync, readFileSync } from "node:fs";

/** The repository's root. */
export const ROOT = new URL("../../", import.meta.url);

/** One source file. */
export interface Source {
  /** Path from the root, with slashes. */
  path: string;
  text: string;
  /** The text with comments blanked. */
  code: string;
  /** What it imports or re-exports. */
  imports: Import[];
}

/** One import. */
export interface Import {
  specifier: string;
  /** False for `import("…")`. */
  static: boolean;
}

/** All TypeScript files, tests and generated ones too, in order of path. */
export function readSources(): Source[] {
  return list("").filter((path) => path.endsWith(".ts")).map((path) => {
    const text = readFileSync(new URL(path, ROOT), "utf8");
    const { code, bare } = scan(text);
    return { path, text, code, imports: findImports(code, bare) };
  });
}

function list(directory: string): string[] {
  return readdirSync(new URL(directory || ".", ROOT), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith(".") || ["node_modules", "dist"].includes(entry.name)) return [];
    const path = `${directory}${entry.name}`;
    return entry.isDirectory() ? list(`${path}/`) : [path];
  }).sort();
}

const TRIVIA_OR_LITERAL = new RegExp(
  [
    /(?<line>\/\/[^\n]*)/,
    /(?<block>\/\*[^]*?\*\/)/,
    /(?<string>"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*')/,
    // A slash starts a regular expression where no operand stands before it.
    /(?<regexp>(?<=(?:^|[=(,:!&|?[{};+\n]|return|=>)[ \t]*)\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*)/,
    /(?<quote>`)/,
    /(?<brace>[{}])/,
  ].map((part) => part.source).join("|"),
  "g",
);

/**
 * Blanks what is not code, offsets kept: `code` without comments; `bare` without the insides of strings, regular
 * expressions and templates either.
 */
export function scan(text: string): { code: string; bare: string } {
  const code = text.split("");
  const bare = text.split("");
  const blank = (characters: string[], from: number, to: number): void => {
    for (let i = from; i < to; i++) if (characters[i] !== "\n") characters[i] = " ";
  };
  // For each open template: how many braces are open in its current `${…}`.
  const templates: number[] = [];
  let at = 0;
  const skipTemplateText = (from: number): number => {
    let i = from;
    while (i < text.length && text[i] !== "`" && !text.startsWith("${", i)) i += text[i] === "\\" ? 2 : 1;
    blank(bare, from, i);
    if (text[i] === "`") templates.pop();
    return i < text.length && text[i] === "$" ? i + 2 : i + 1;
  };
  for (;;) {
    TRIVIA_OR_LITERAL.lastIndex = at;
    const match = TRIVIA_OR_LITERAL.exec(text);
    if (!match) return { code: code.join(""), bare: bare.join("") };
    const { line, block, string, regexp, quote } = match.groups!;
    const end = match.index + match[0].length;
    at = end;
    if (line ?? block) {
      blank(code, match.index, end);
      blank(bare, match.index, end);
    } else if (string ?? regexp) blank(bare, match.index + 1, end - 1);
    else if (quote) {
      templates.push(0);
      at = skipTemplateText(end);
    } else if (templates.length > 0) {
      const top = templates.length - 1;
      if (match[0] === "{") templates[top]++;
      else if (templates[top] > 0) templates[top]--;
      else at = skipTemplateText(end);
    }
  }
}

const STATIC = /^(?:import\s*|(?:import|export)\b[\w\s{},*$]*?\bfrom\s*)(["']) *\1/gm;
const DYNAMIC = /\bimport\(\s*(["']) *\1/g;

function findImports(code: string, bare: string): Import[] {
  const found = (pattern: RegExp, isStatic: boolean): Import[] =>
    [...bare.matchAll(pattern)].map((match) => {
      const end = match.index + match[0].length - 1;
      const start = bare.lastIndexOf(match[1], end - 1) + 1;
      return { specifier: code.slice(start, end), static: isStatic };
    });
  return [...found(STATIC, true), ...found(DYNAMIC, false)];
}

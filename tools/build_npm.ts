/** Builds the npm package, JavaScript with type declarations, into `dist/npm`: `deno run -A tools/build_npm.ts [directory]`. */

import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What the package leads into: the library, and the command line. */
const ENTRIES = ["mod.ts", "cli.ts"].map((entry) => join(ROOT, entry));

/** What is other in the package's command line: Node runs it, and Node 20 has no `import.meta.main`; nothing but a shell imports it. */
const CLI_CHANGES = [[/^#!.*/, "#!/usr/bin/env node"], ["import.meta.main", "true"]] as const;

/** ES2023 is what Node 20 has: a newer function of the language's library is an error here, before anyone meets it. */
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  lib: ["lib.es2024.d.ts", "lib.dom.d.ts", "lib.dom.asynciterable.d.ts"],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  resolveJsonModule: true,
  rewriteRelativeImportExtensions: true,
  declaration: true,
  strict: true,
  noImplicitOverride: true,
  skipLibCheck: true,
  types: ["node"],
  rootDir: ROOT,
};

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** The declarations with relative imports of `.js` files: TypeScript rewrites them in JavaScript only. */
function importingJavaScript(declarations: string): string {
  const ends: number[] = [];
  const visit = (node: ts.Node): void => {
    const specifier = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
      ? node.argument.literal
      : undefined;
    if (specifier && ts.isStringLiteral(specifier) && /^\.{1,2}\/.*\.ts$/.test(specifier.text)) ends.push(specifier.end);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("declarations.d.ts", declarations, ts.ScriptTarget.ES2023));
  return ends.toReversed().reduce((text, end) => `${text.slice(0, end - 'ts"'.length)}js${text.slice(end - 1)}`, declarations);
}

function changedCli(source: string): string {
  return CLI_CHANGES.reduce((text, [from, to]) => {
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`cli.ts has no ${from}`);
    return changed;
  }, source);
}

/** Compiles everything that the entries lead to; gives the folders that it came from. Throws what the type checker says. */
function emitSources(out: string): Set<string> {
  const options = { ...OPTIONS, outDir: out };
  const host = ts.createCompilerHost(options);
  const { readFile } = host;
  host.readFile = (path) => join(path) === ENTRIES[1] ? changedCli(readFile(path)!) : readFile(path);
  const program = ts.createProgram(ENTRIES, options, host);
  const diagnostics = [...ts.getPreEmitDiagnostics(program)];
  const folders = new Set<string>();
  const { diagnostics: more } = program.emit(undefined, (path, text) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, path.endsWith(".d.ts") ? importingJavaScript(text) : text);
    const [folder, ...rest] = relative(out, path).split(sep);
    if (rest.length > 0) folders.add(folder);
  });
  diagnostics.push(...more);
  if (diagnostics.length > 0) {
    throw new Error(ts.formatDiagnostics(diagnostics, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => ROOT,
      getNewLine: () => "\n",
    }));
  }
  return folders;
}

/** Copies the data files beside the sources: specs, their schema, built-in presets. */
function copyData(folder: string, out: string): void {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) copyData(path, out);
    else if (!/\.(ts|md)$/.test(entry.name)) {
      mkdirSync(join(out, folder), { recursive: true });
      cpSync(join(ROOT, path), join(out, path));
    }
  }
}

/** Builds the package into a directory, which is emptied first. */
export function buildNpm(out: string): void {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const folder of emitSources(out)) copyData(folder, out);
  chmodSync(join(out, "cli.js"), 0o755);
  for (const file of ["README.md", "LICENSE"]) cpSync(join(ROOT, file), join(out, file));
  const { name, version, description, license, dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
  const manifest = {
    name,
    version,
    description,
    license,
    type: "module",
    engines: { node: ">=20.10" },
    exports: { ".": { types: "./mod.d.ts", default: "./mod.js" }, "./cli": "./cli.js", "./package.json": "./package.json" },
    types: "./mod.d.ts",
    bin: { [name]: "cli.js" },
    dependencies,
  };
  writeFileSync(join(out, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

if (import.meta.main) {
  const out = process.argv[2] ?? join(ROOT, "dist", "npm");
  buildNpm(out);
  console.log(out);
}

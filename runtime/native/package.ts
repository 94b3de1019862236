/** The package onnxruntime-node, where the user has installed it: looked for when first needed, never imported statically. */

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { OnnxHubError } from "../../errors.ts";
import type { OnnxRuntime } from "../onnx_session.ts";

/** The package, and how it is installed without its own script, which downloads GPU libraries. */
const PACKAGE = "onnxruntime-node";
const REMEDY = `Install it in your project: \`npm install --ignore-scripts ${PACKAGE}\` (\`deno run\` needs --allow-ffi for it).`;

/** The package where it was found. */
export interface NativePackage {
  readonly directory: string;
  /** Loads its addon; throws where that can't be. */
  load(): OnnxRuntime;
}

/**
 * Opens the package by `open`. It is looked for from the working directory, then from where this package is.
 *
 * Throws "backend/unavailable" where it isn't installed or `open` throws.
 */
export function openPackage<T>(open: (found: NativePackage) => T): T {
  const causes: unknown[] = [];
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      const require = createRequire(from);
      return open({ directory: directoryOf(require.resolve(PACKAGE)), load: () => require(PACKAGE) as OnnxRuntime });
    } catch (error) {
      causes.push(error);
    }
  }
  throw new OnnxHubError("backend/unavailable", `The backend "native" needs the package ${PACKAGE}, which can't be loaded`, {
    path: "backend",
    found: causes.map((cause) => cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)).join("; "),
    remedy: REMEDY,
    cause: causes[0],
  });
}

/** The package's directory, by a file of it. Another package under that name (an alias in somebody's lock file) is not it. */
function directoryOf(file: string): string {
  for (let directory = dirname(file); directory !== dirname(directory); directory = dirname(directory)) {
    let name: unknown;
    try {
      name = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name;
    } catch {
      continue;
    }
    if (typeof name !== "string") continue;
    if (name === PACKAGE) return directory;
    throw new Error(`${directory} is the package ${name}`);
  }
  throw new Error(`${file} is in no package`);
}

/** The library that the package's addon calls; null where it isn't where releases have it. */
export function libraryOf(
  { directory }: Pick<NativePackage, "directory">,
  platform: string = process.platform,
  arch: string = process.arch,
): string | null {
  const bin = join(directory, "bin");
  for (const api of readdirSync(bin)) {
    const folder = join(bin, api, platform, arch);
    // `libonnxruntime.so.1`; with macOS `libonnxruntime.1.dylib` beside one named for the release.
    const files = entries(folder).filter((file) => /^libonnxruntime(\.\d+)*\.(so|dylib)(\.\d+)*$/.test(file));
    if (files.length > 0) return join(folder, files.sort((a, b) => a.length - b.length)[0]);
  }
  return null;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

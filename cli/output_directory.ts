/** A directory of compiled files: each file whole or not at all, and the manifest, written last, only beside the files that it describes. */

import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { OnnxHubError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic.ts";
import { FORMAT, jsonText } from "./manifest.ts";

/** A file's content, or what writes it to the path that it is given. */
export type Content = Uint8Array | string | ((temporary: string) => void);

const MANIFEST = "manifest.json";

/**
 * Writes files and their manifest into a directory, which is made if need be. Files of an earlier manifest that are not written again are
 * removed; others stay. Needs no permission to write outside the directory.
 *
 * Throws "format/write", "format/directory-foreign" for a `manifest.json` of somebody else.
 */
export async function writeCompiled(directory: string, files: ReadonlyMap<string, Content>, manifest: object): Promise<void> {
  const old = earlierFiles(directory);
  try {
    mkdirSync(directory, { recursive: true });
    rmSync(join(directory, MANIFEST), { force: true });
    for (const name of old) if (!files.has(name)) rmSync(join(directory, name), { force: true });
  } catch (error) {
    throw new OnnxHubError("format/write", "Can't be written", {
      path: directory,
      found: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  for (const [name, content] of files) await writeFileAtomic(join(directory, name), content);
  await writeFileAtomic(join(directory, MANIFEST), `${jsonText(manifest)}\n`);
}

/** The files that an earlier manifest names. */
function earlierFiles(directory: string): string[] {
  const path = join(directory, MANIFEST);
  if (!existsSync(path)) return [];
  let old: { format?: unknown; files?: object; weights_file?: unknown };
  try {
    old = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    old = {};
  }
  if (old?.format !== FORMAT) {
    throw new OnnxHubError("format/directory-foreign", "The directory holds a manifest of something else", {
      path,
      expected: `a manifest with "format": "${FORMAT}", or none`,
      remedy: "Choose another directory.",
    });
  }
  const names = [...Object.keys(old.files ?? {}), ...(typeof old.weights_file === "string" ? [old.weights_file] : [])];
  return names.filter((name) => !/[/\\]/.test(name));
}

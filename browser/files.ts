/** The page's files in memory: wherever the library takes or writes a path, the file is one of these. The namespace `files`. */

import { contents, find, getFile, makeFolder } from "./memory_files.ts";
import { readdirSync, rmSync, writeFileSync } from "./node/fs.ts";
import { dirname, join } from "./node/path.ts";

/**
 * Writes a file, with the folders that it lies in: a checkpoint that the visitor chose, so that `fromPreset` finds it.
 *
 * Relative paths begin at the root: `model/config.json` is `/model/config.json`.
 */
export async function write(path: string, content: string | Uint8Array | ArrayBuffer | Blob): Promise<void> {
  const bytes = content instanceof Blob ? await content.arrayBuffer() : content;
  makeFolder(dirname(join("/", path)), true);
  writeFileSync(path, bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
}

/** A copy of a file's bytes, of what `saveToPreset` wrote for example. Throws an error with the code ENOENT or EISDIR. */
export function read(path: string): Uint8Array<ArrayBuffer> {
  return contents(getFile(path, "open")).slice();
}

/** The paths of all files in a folder and below it, in order; none where there is no such folder. */
export function list(folder = "/"): string[] {
  if (find(folder)?.kind !== "folder") return [];
  return readdirSync(folder, { recursive: true }).map((name) => join(folder, name)).filter((path) => find(path)?.kind === "file").sort();
}

/** Removes a file, or a folder with all that is in it; nothing happens where there is neither. */
export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

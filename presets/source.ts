/** Where a preset's files come from: a directory, or something that fetches them one by one. */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { recoverDirectory } from "../formats/atomic.ts";

/** The files of one preset, fetched when they are asked for. */
export interface PresetSource {
  /** As errors call it: the directory's path, `hf://org/name`. */
  readonly name: string;
  /** The local path of a file, given its name in the preset with slashes; undefined where the preset has no such file. */
  file(name: string): Promise<string | undefined>;
  /** The names of the files that are known to be there, for messages; not all need be known. */
  list(): Promise<readonly string[]>;
}

/** The files of a local directory. A save that was killed between its two renames is finished first. */
export function directorySource(path: string): PresetSource {
  recoverDirectory(path);
  return {
    name: path,
    file(name) {
      const local = join(path, name);
      return Promise.resolve(existsSync(local) && statSync(local).isFile() ? local : undefined);
    },
    list: () => Promise.resolve(readdirSync(path, { recursive: true }).map(String).sort()),
  };
}

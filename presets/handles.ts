/** What a preset's identifier means: a built-in name, a hub's handle, a directory. */

import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../errors.ts";
import { recoverDirectory } from "../formats/atomic.ts";
import { directorySource, type PresetSource } from "./source.ts";

/**
 * The files that an identifier stands for.
 *
 * Throws "preset/identifier" for what is no string, "preset/not-found" where there is nothing.
 */
export function openPreset(identifier: string): Promise<PresetSource> {
  if (typeof identifier !== "string") {
    throw new OnnxHubError("preset/identifier", "A preset identifier must be a string", { path: "preset", found: typeof identifier });
  }
  const path = identifier.startsWith("file:") ? fileURLToPath(identifier) : identifier;
  recoverDirectory(path);
  if (existsSync(path) && statSync(path).isDirectory()) return Promise.resolve(directorySource(path));
  const scheme = /^[a-z]+:\/\//.exec(identifier)?.[0];
  throw new OnnxHubError("preset/not-found", scheme ? `Presets of ${scheme} can't be fetched` : "There is no such preset directory", {
    path: identifier,
    expected: "a local directory with a config.json",
    found: existsSync(path) ? "a file" : "nothing there",
    remedy: scheme ? "Download it, and give the directory." : undefined,
  });
}

/** The presets that the package brings along: no network is needed for them. */

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic.ts";
import { directorySource, type PresetSource } from "./source.ts";

/** The files that each has: a Hugging Face checkpoint with its tokenizer. */
const FILES: readonly string[] = [
  "config.json",
  "model.safetensors",
  "sentencepiece.bpe.model",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/**
 * The files of a preset of the package. Where the package itself comes from a server, they are fetched from beside this module, once, into
 * `$XDG_CACHE_HOME/onnxhub` (`~/.cache/onnxhub`).
 *
 * Throws "preset/not-found" for a name that there isn't, "preset/connection" where a file can't be fetched.
 */
export function shippedSource(name: string): PresetSource {
  const home = new URL(`./shipped/${name}/`, import.meta.url);
  if (home.protocol === "file:") {
    const directory = fileURLToPath(home);
    if (existsSync(directory)) return directorySource(directory);
    throw new OnnxHubError("preset/not-found", "The package has no such preset", { path: `package://${name}` });
  }
  const cache = join(
    process.env.XDG_CACHE_HOME || join(homedir(), ".cache"),
    "onnxhub",
    ...`${home.host}${home.pathname}`.split("/").filter(Boolean),
  );
  return {
    name: home.href,
    list: () => Promise.resolve(FILES),
    async file(file) {
      if (!FILES.includes(file)) return undefined;
      const local = join(cache, file);
      if (existsSync(local)) return local;
      const response = await fetch(new URL(file, home)).catch((cause: unknown) => cause as Error);
      if (response instanceof Error || !response.ok) {
        throw new OnnxHubError("preset/connection", "A file of the package can't be fetched", {
          path: new URL(file, home).href,
          found: response instanceof Error ? response.message : `HTTP status ${response.status}`,
        });
      }
      await mkdir(dirname(local), { recursive: true });
      await writeFileAtomic(local, new Uint8Array(await response.arrayBuffer()));
      return local;
    },
  };
}

/** kitoken, the tokenizers in WebAssembly: the one file that knows it. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { initSync, Kitoken } from "kitoken/web";
import { OnnxHubError } from "../errors.ts";

/** The parts of kitoken's configuration that are touched here. */
interface KitokenConfig {
  normalization: unknown[];
}

/** Cuts texts into ids. */
export interface KitokenEncoder {
  /** The ids of each text; no special token is added. */
  encode(texts: readonly string[]): number[][];
}

let ready = false;

/** Reads and starts the WebAssembly module, once: it takes 80 ms, so only when a tokenizer needs it. */
function start(): void {
  if (ready) return;
  initSync({ module: readFileSync(wasmFile()) });
  ready = true;
}

/** Ways to learn where kitoken's JavaScript is, by how this package itself was loaded. */
const LOCATORS: readonly (() => string)[] = [
  () => import.meta.resolve("kitoken/web"),
  () => pathToFileURL(createRequire(import.meta.url).resolve("kitoken/web")).href,
  // Loaded over HTTP, a module can't resolve packages; but the trace of an error in kitoken names its file.
  () => {
    try {
      return String(initSync({ module: new Uint8Array(0) }));
    } catch (error) {
      return /file:\/\/[^\s()]*\/web\.js/.exec(String((error as Error).stack))?.[0] ?? "no file in the trace";
    }
  },
];

/** kitoken's module, which is beside its JavaScript wherever the package manager put that. */
function wasmFile(): URL {
  const reasons: unknown[] = [];
  for (const locate of LOCATORS) {
    try {
      const script = new URL(locate());
      if (script.protocol === "file:") return new URL("web_bg.wasm", script);
      reasons.push(script.href);
    } catch (reason) {
      reasons.push(reason);
    }
  }
  throw new OnnxHubError("text/kitoken", "The package kitoken can't be found", {
    found: reasons.map(String).join("; "),
    remedy: "Install it: `npm install kitoken`, or set `nodeModulesDir` in deno.json.",
    cause: reasons[0],
  });
}

/** Runs one of kitoken's constructors and says in our words what went wrong. */
function load(make: () => Kitoken, path: string): Kitoken {
  start();
  try {
    return make();
  } catch (cause) {
    throw new OnnxHubError("text/tokenizer-file", "A tokenizer's file can't be read", { path, found: String(cause), cause });
  }
}

/**
 * An encoder for a SentencePiece model whose texts are already normalized (charsmap.ts): kitoken's own normalization is not SentencePiece's and
 * is switched off.
 */
export function sentencePieceEncoder(bytes: Uint8Array, path: string): KitokenEncoder {
  const kitoken = load(() => Kitoken.from_sentencepiece(bytes), path);
  const config = kitoken.config() as KitokenConfig;
  config.normalization = [];
  kitoken.set_config(config);
  return encoder(kitoken, false);
}

/** An encoder for a `tokenizer.json`; its special tokens are kept whole where they stand in a text. */
export function tokenizersEncoder(json: string, path: string): KitokenEncoder {
  return encoder(load(() => Kitoken.from_tokenizers(new TextEncoder().encode(json)), path), true);
}

function encoder(kitoken: Kitoken, special: boolean): KitokenEncoder {
  return { encode: (texts) => (kitoken.encode_all(texts as string[], special) as Uint32Array[]).map((ids) => Array.from(ids)) };
}

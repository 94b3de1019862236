/** kitoken, the tokenizers in WebAssembly: the one file that knows what it does. */

import { initSync, Kitoken } from "kitoken/web";
import { OnnxHubError } from "../errors.ts";
import { kitokenModule } from "./kitoken_file.ts";

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
  initSync({ module: kitokenModule() });
  ready = true;
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

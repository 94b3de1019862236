/** Where kitoken's WebAssembly is for a page: beside the bundle. Stands for text/kitoken_file.ts. */

import { OnnxHubError } from "../errors.ts";

/** What of a page's requests is used. */
interface SynchronousRequest {
  readonly status: number;
  readonly responseText: string;
  open(method: "GET", url: URL, asynchronous: false): void;
  overrideMimeType(type: string): void;
  send(): void;
}

/**
 * The bytes of kitoken's module, at once: a tokenizer's answer is no promise. Only BPE needs it; the page stands still meanwhile.
 *
 * Throws "text/kitoken" where it can't be fetched.
 */
export function kitokenModule(): Uint8Array<ArrayBuffer> {
  const url = new URL("./kitoken/web_bg.wasm", import.meta.url);
  const { XMLHttpRequest } = globalThis as unknown as { XMLHttpRequest: new () => SynchronousRequest };
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  // Synchronous requests give text alone; in this encoding every character is a byte.
  request.overrideMimeType("text/plain; charset=x-user-defined");
  request.send();
  if (request.status !== 200) {
    throw new OnnxHubError("text/kitoken", "kitoken's module can't be fetched", { path: url.href, found: `HTTP status ${request.status}` });
  }
  return Uint8Array.from(request.responseText, (character) => character.charCodeAt(0) & 255);
}

/** Where kitoken's WebAssembly is: the browser's bundle has another file in place of this one. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { initSync } from "kitoken/web";
import { OnnxHubError } from "../errors.ts";

/** The bytes of kitoken's module. Throws "text/kitoken" where the package can't be found. */
export function kitokenModule(): Uint8Array<ArrayBuffer> {
  return readFileSync(wasmFile());
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

/**
 * Serves the example page, with the headers that give it threads: `deno task browser`, or `bun examples/browser/server.ts` after
 * `bun tools/build_browser.ts`.
 */

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { extname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PAGE = fileURLToPath(new URL("./", import.meta.url));
const BUNDLE = fileURLToPath(new URL("../../dist/browser/", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** A page may share memory with its threads only if no other site's window can look into it. */
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** What is served, by the first part of the path: the page's own files under /, the library under /onnxhub/. */
export interface Served {
  /** The bundle's folder; default dist/browser. */
  readonly bundle?: string;
  /** The page's folder; default this one. */
  readonly page?: string;
  /** Whether the page is isolated, and so has threads; default true. */
  readonly isolated?: boolean;
}

/** Serves on a port of this machine, 0 for any that is free. */
export function serve(port: number, { bundle = BUNDLE, page = PAGE, isolated = true }: Served = {}): Promise<Server> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, "http://localhost").pathname);
    const [, inBundle] = /^\/onnxhub\/(.*)/.exec(path) ?? [];
    const file = inBundle === undefined ? join(page, path === "/" ? "index.html" : path) : join(bundle, inBundle);
    // `join` has resolved every "..": a path that leads out of the folders is not in them any more.
    const inside = file.startsWith(join(inBundle === undefined ? page : bundle, "/"));
    if (!inside || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, isolated ? ISOLATION : {}).end();
      return;
    }
    response.writeHead(200, {
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
      "Content-Length": statSync(file).size,
      "Cache-Control": "no-cache",
      ...(isolated && ISOLATION),
    });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "localhost", () => resolve(server));
  });
}

if (import.meta.main) {
  if (!existsSync(BUNDLE)) throw new Error("The bundle isn't built: run `deno task build:browser`.");
  const port = Number(process.argv[2] ?? 8000);
  await serve(port);
  console.log(`http://localhost:${port}/`);
}

/** A headless Chromium as contestants: this project and transformers.js beside each other in one page, each a lane of this process. */

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, extname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Facts } from "../protocol.ts";
import { type Prepared, serve } from "../serve.ts";
import type { Workload } from "../workload.ts";

/** A package of the peers' own, in no list of the project's. */
const PUPPETEER: string = "puppeteer-core";

/** What is used of puppeteer. */
interface Puppeteer {
  launch(options: object): Promise<{ newPage(): Promise<Page>; version(): Promise<string>; close(): Promise<void> }>;
}

interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<A extends unknown[], R>(f: (...args: A) => Promise<R> | R, ...args: A): Promise<R>;
  on(event: "console", listener: (message: { type(): string; text(): string }) => void): void;
}

/** What the page offers: bench/browser/page.js. */
interface PageBench {
  prepare(lane: string, workload: Workload): Promise<Facts>;
  step(lane: string): Promise<{ seconds: number; facts: Facts }>;
  dispose(lane: string): Promise<void>;
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The folders that are served, by the first part of the URL's path; the page's own is the rest. */
const SERVED: Readonly<Record<string, string>> = {
  onnxhub: path("../../dist/browser"),
  peers: path("./node_modules"),
  checkpoints: path("../.cache"),
};
const PAGE = path("../browser");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** A page may share memory with its threads only if no other site's window can look into it. */
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** Serves the page on a free port; gives its address. */
function startServer(): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    const [, first, rest] = /^\/([^/]+)\/(.*)$/.exec(decodeURIComponent(pathname)) ?? [];
    const file = SERVED[first] ? join(SERVED[first], rest) : join(PAGE, pathname === "/" ? "page.html" : pathname);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, ISOLATION).end();
      return;
    }
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Length": statSync(file).size, ...ISOLATION });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) =>
    server.listen(0, "localhost", () => resolve(`http://localhost:${(server.address() as { port: number }).port}/`))
  );
}

/** Chromium, from CHROMIUM or the search path. */
function findChromium(): string {
  const names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
  const found = (process.env.PATH ?? "").split(":").flatMap((folder) => names.map((name) => join(folder, name))).find(existsSync);
  const chosen = process.env.CHROMIUM ?? found;
  if (!chosen) throw new Error("there is no Chromium: set CHROMIUM to it");
  return chosen;
}

async function openPage(): Promise<{ page: Page; version: string }> {
  const { default: puppeteer } = await import(PUPPETEER) as { default: Puppeteer };
  const browser = await puppeteer.launch({
    executablePath: findChromium(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    protocolTimeout: 600_000, // milliseconds
  });
  const page = await browser.newPage();
  page.on("console", (message) => message.type() === "error" && console.error(message.text()));
  await page.goto(await startServer());
  return { page, version: await browser.version() };
}

let opened: ReturnType<typeof openPage> | null = null;

async function prepare(workload: Workload, lane: string): Promise<Prepared> {
  const { page, version } = await (opened ??= openPage());
  // The page knows the checkpoint by its address.
  const checkpoint = `/checkpoints/${basename(workload.checkpoint!)}/`;
  const call = (name: keyof PageBench, ...args: unknown[]): Promise<unknown> =>
    page.evaluate(
      (name, args) => (globalThis as unknown as { bench: Record<string, (...args: unknown[]) => Promise<unknown>> }).bench[name](...args),
      name as string,
      args,
    );
  const facts = await call("prepare", lane, { ...workload, checkpoint }) as Facts;
  return {
    facts: { ...facts, browser: version },
    step: () => call("step", lane) as ReturnType<PageBench["step"]>,
    dispose: () => call("dispose", lane) as Promise<void>,
  };
}

await serve(prepare);

/** The bundle for pages, built for tests, and code that runs in a page with it. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { serve } from "../../examples/browser/server.ts";
import { Chromium, type GRAPHICS } from "./chromium.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUN = join("node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun");

/** Builds the bundle into a new temporary folder. */
export function buildBundle(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "onnxhub-bundle-"));
  const { status, stderr } = spawnSync(BUN, [join("tools", "build_browser.ts"), folder], { cwd: ROOT, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** How a page is opened. */
export interface PageOptions {
  readonly graphics?: keyof typeof GRAPHICS;
  /** Whether it may have threads; default true. */
  readonly isolated?: boolean;
  /** The path of the page; default a text of the server. */
  readonly path?: string;
}

/** A page of a server that has the bundle under /onnxhub/. */
export class Page {
  private constructor(readonly browser: Chromium, readonly origin: string, private readonly stop: () => Promise<void>) {}

  /** Starts a server and a browser. */
  static async open(
    bundle: string,
    { graphics, isolated, path = "/onnxhub/shipped/xlm_roberta_declaration/config.json" }: PageOptions = {},
  ): Promise<Page> {
    const server = await serve(0, { bundle, isolated });
    const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    const browser = await Chromium.open(graphics);
    await browser.goTo(`${origin}${path}`);
    return new Page(browser, origin, () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }));
  }

  /** Runs the body of an asynchronous function in the page, where all that the library exports is in scope; gives what it returns. */
  run<T>(body: string): Promise<T> {
    return this.browser.evaluate<T>(`(async () => {
      const { callbacks, files, losses, models, OnnxHubError, optimizers, presets, spec, text } = await import("/onnxhub/onnxhub.js");
      ${body}
    })()`);
  }

  /** Ends both. */
  async close(): Promise<void> {
    await this.browser.close();
    await this.stop();
  }
}

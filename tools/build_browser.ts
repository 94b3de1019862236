/**
 * Builds the bundle for pages, with Bun's bundler: `bun tools/build_browser.ts [directory]`. What the system does elsewhere, browser/ does there.
 *
 * The directory, by default dist/browser, then holds what a server is to serve:
 *
 *     onnxhub.js        the library: `import { models } from "./onnxhub.js"`; parts of it that are loaded when needed are beside it
 *     onnxruntime/      onnxruntime-web, which is imported as it is: its threads load its own scripts again
 *     h5wasm/           what writes Keras' weight files, loaded when one is saved
 *     kitoken/          the WebAssembly of BPE tokenizers
 *     shipped/          the built-in presets
 */

import { cpSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { REPLACED } from "../browser/replaced.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Packages that are imported as they are, by the specifiers that the library imports them with. */
const IMPORTED: Readonly<Record<string, string>> = {
  "onnxruntime-web": "./onnxruntime/ort.wasm.min.mjs",
  "onnxruntime-web/jspi": "./onnxruntime/ort.jspi.min.mjs",
  "onnxruntime-web/webgpu": "./onnxruntime/ort.webgpu.min.mjs",
  "h5wasm": "./h5wasm/hdf5_hl.js",
};

/** The packages' files that are copied: those that are imported, and what they load themselves. */
const COPIED: Readonly<Record<string, { readonly from: string; readonly names: readonly string[] }>> = {
  onnxruntime: {
    from: "onnxruntime-web/dist",
    names: [
      "ort.wasm.min.mjs",
      "ort.jspi.min.mjs",
      "ort.webgpu.min.mjs",
      "ort-wasm-simd-threaded.mjs",
      "ort-wasm-simd-threaded.wasm",
      "ort-wasm-simd-threaded.jspi.mjs",
      "ort-wasm-simd-threaded.jspi.wasm",
      "ort-wasm-simd-threaded.asyncify.mjs",
      "ort-wasm-simd-threaded.asyncify.wasm",
    ],
  },
  h5wasm: { from: "h5wasm/dist/esm", names: ["hdf5_hl.js", "hdf5_util.js", "file_handlers.js"] },
  kitoken: { from: "kitoken/dist", names: ["web_bg.wasm"] },
};

/** What of Bun's bundler is used. */
interface Bundler {
  build(options: {
    entrypoints: readonly string[];
    outdir: string;
    target: "browser";
    splitting: boolean;
    minify: { whitespace: boolean; syntax: boolean };
    naming: { entry: string; chunk: string };
    plugins: readonly { name: string; setup(build: PluginBuild): void }[];
  }): Promise<{ readonly success: boolean; readonly logs: readonly unknown[] }>;
}

interface PluginBuild {
  onResolve(
    filter: { filter: RegExp },
    resolve: (args: { path: string; importer: string }) => { path: string; external?: boolean } | undefined,
  ): void;
}

/** Where an import leads in a page; undefined where nothing is replaced. */
function resolveImport(specifier: string, importer: string): { path: string; external?: boolean } | undefined {
  if (IMPORTED[specifier]) return { path: IMPORTED[specifier], external: true };
  const own = specifier.startsWith(".") ? join(dirname(importer), specifier).slice(ROOT.length).replaceAll("\\", "/") : specifier;
  // The replacement may import the types of what it stands for; that is no import at run time.
  return REPLACED[own] ? { path: join(ROOT, REPLACED[own]) } : undefined;
}

/** Builds the bundle into a directory, which is emptied first. Runs on Bun only. */
export async function buildBrowser(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const { Bun } = globalThis as unknown as { Bun: Bundler };
  const { success, logs } = await Bun.build({
    entrypoints: [join(ROOT, "browser", "mod.ts")],
    outdir: out,
    target: "browser",
    splitting: true,
    // Names stay: errors and consoles show those of classes.
    minify: { whitespace: true, syntax: true },
    naming: { entry: "onnxhub.js", chunk: "[name]-[hash].js" },
    plugins: [{
      name: "pages",
      setup: (build) => build.onResolve({ filter: /.*/ }, ({ path, importer }) => resolveImport(path, importer)),
    }],
  });
  if (!success) throw new Error(logs.map(String).join("\n"));

  for (const [folder, { from, names }] of Object.entries(COPIED)) {
    for (const name of names) cpSync(join(ROOT, "node_modules", from, name), join(out, folder, name));
  }
  cpSync(join(ROOT, "presets", "shipped"), join(out, "shipped"), { recursive: true });
}

if (import.meta.main) {
  const out = process.argv[2] ?? join(ROOT, "dist", "browser");
  await buildBrowser(out);
  console.log(out);
}

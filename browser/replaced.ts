/** What a page has other modules for: Node's, and those of the library that need more of a system than a page has. */

/** By the specifier, or by the path in the repository: the path of what stands for it. */
export const REPLACED: Readonly<Record<string, string>> = {
  "node:fs": "browser/node/fs.ts",
  "node:fs/promises": "browser/node/fs_promises.ts",
  "node:os": "browser/node/os.ts",
  "node:path": "browser/node/path.ts",
  "node:process": "browser/node/process.ts",
  "node:url": "browser/node/url.ts",
  "h5wasm/node": "browser/hdf5_library.ts",
  "presets/hub/huggingface.ts": "browser/hubs.ts",
  "presets/hub/kaggle.ts": "browser/hubs.ts",
  "presets/hub/modelscope.ts": "browser/hubs.ts",
  "presets/hub/settings.ts": "browser/hubs.ts",
  "presets/web.ts": "browser/web_preset.ts",
  "runtime/native/backend.ts": "browser/native.ts",
  "runtime/webgpu/adapter.ts": "browser/webgpu_adapter.ts",
  "runtime/wasm_file.ts": "browser/wasm_file.ts",
  "text/kitoken_file.ts": "browser/kitoken_file.ts",
  "training/console.ts": "browser/console.ts",
};

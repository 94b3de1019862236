/** The module that is compiled ahead: onnxruntime-web gets it once, and nothing else notices. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AheadOfTimeModule } from "../../runtime/wasm_module.ts";

/** The smallest module: magic number and version. */
const EMPTY = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

describe("onnxruntime's module, compiled ahead", () => {
  it("is instantiated in place of the bytes that stand for it; other modules are left alone, and so is the next body", async () => {
    const { instantiate } = WebAssembly;
    const settings: { wasmBinary?: ArrayBuffer } = {};
    const ahead = new AheadOfTimeModule();
    ahead.prepare();
    await assert.rejects(
      ahead.use(settings, async () => {
        assert.ok((await WebAssembly.instantiate(EMPTY)).instance instanceof WebAssembly.Instance);
        // What onnxruntime-web is given instead of 14 MB. The real module, unlike the empty one, wants imports.
        assert.ok(settings.wasmBinary!.byteLength < 100);
        await WebAssembly.instantiate(new Uint8Array(settings.wasmBinary!), {});
      }),
      /import/i,
    );
    assert.equal(WebAssembly.instantiate, instantiate);
    assert.deepEqual(settings, {});

    ahead.prepare();
    await ahead.use(settings, () => {
      assert.equal(WebAssembly.instantiate, instantiate);
      assert.deepEqual(settings, {});
      return Promise.resolve();
    });
  });
});

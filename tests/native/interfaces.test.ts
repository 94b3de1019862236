/** onnxruntime-node's two interfaces: its library's C API gives what its addon gives, and says what it says. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { before, describe, it } from "node:test";
import { libraryOf } from "../../runtime/native/package.ts";
import { installNative, PROJECT, runThere } from "./install.ts";

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

interface Failure {
  readonly code: string;
  readonly message: string;
}

/** What `interfaces.ts` prints of an interface. */
interface Printed {
  readonly runs: readonly Readonly<Record<string, Tensor>>[];
  readonly errors: readonly Failure[];
  readonly disposed: Failure;
}

describe("the native backend's two interfaces", () => {
  let printed: {
    readonly c: Printed;
    readonly addon: Printed;
    readonly kept: { readonly values: readonly number[]; readonly detached: number; readonly grown: number };
    readonly inHeap: {
      readonly steps: readonly { readonly places: readonly boolean[]; readonly values: readonly number[] }[];
      readonly error: Failure;
      readonly held: number;
    };
    readonly gradientsInHeap: readonly [number, number];
    readonly runsInC: number;
  };
  before(async () => {
    await installNative();
    printed = JSON.parse(await runThere("./interfaces.ts"));
  });

  it("are the C API here, where a runtime can call it", { skip: process.platform === "win32" }, () => {
    assert.equal(printed.runsInC, 1);
  });
  it("give the same results, of every element type, again and in other sizes, of shared memory and of nothing", () => {
    const { runs } = printed.c;
    assert.deepEqual(runs, printed.addon.runs);
    assert.deepEqual(runs[0], {
      sum: { dtype: "float32", shape: [2, 3], data: [1, 1.5, 2, 2.5, 3, 3.5] },
      less: { dtype: "bool", shape: [2, 3], data: [1, 1, 0, 0, 0, 0] },
      mean: { dtype: "float32", shape: [], data: [1.25] },
      twice: { dtype: "int32", shape: [2], data: [0, 2] },
    });
    assert.deepEqual(runs[1], runs[0]);
    assert.deepEqual(runs[8], runs[0]);
    assert.deepEqual(runs[4].twice.data, [0, 2, 4]);
    assert.deepEqual(runs[6].sum, { dtype: "float32", shape: [0, 3], data: [] });
    assert.deepEqual(Object.keys(runs[7]), ["twice", "sum"]);
  });
  it("fail with the same codes, and with the graph's name", () => {
    for (const { errors, disposed } of [printed.c, printed.addon]) {
      assert.deepEqual(errors.map(({ code }) => code), ["backend/load", "backend/run", "backend/run", "backend/run"]);
      assert.match(errors[0].message, /broken.*protobuf/s);
      assert.match(errors[1].message, /all types.*\bx\b/s);
      assert.match(errors[2].message, /all types.*(dimension|shape)/is);
      assert.match(errors[3].message, /all types.*nothing/s);
      assert.equal(disposed.code, "backend/disposed");
    }
  });
  it("leave results where they were computed until they are released, and then take their memory back", () => {
    const { values, detached, grown } = printed.kept;
    assert.deepEqual(values, [2, 3, 3, 3]);
    assert.equal(detached, 0);
    assert.ok(grown < 200 * 2 ** 20, `${grown} bytes more after 200 results of 4 MiB`);
  });
  it("leave the gradients of a model's weights in its heap", () => {
    const [held, weights] = printed.gradientsInHeap;
    assert.ok(held >= weights, `${held} of ${weights}`);
  });
  it("leave results in the heap for them so far as it has room, and nothing there where a run fails", () => {
    const { steps, error, held } = printed.inHeap;
    assert.deepEqual(steps, [
      { places: [true, false, false], values: [1, 2, 3] },
      { places: [true, false, false], values: [2, 3, 4] },
    ]);
    assert.equal(error.code, "backend/run");
    assert.equal(held, 0);
  });
});

describe("onnxruntime-node's library", () => {
  before(installNative);

  it("is where the package has it for this system", () => {
    const found = libraryOf({ directory: join(PROJECT, "node_modules", "onnxruntime-node") });
    assert.match(String(found), process.platform === "win32" ? /^null$/ : /libonnxruntime/);
  });
  it("is found by its name on every system, and not where it isn't", () => {
    const directory = mkdtempSync(join(tmpdir(), "onnxhub-native-"));
    const put = (api: string, platform: string, arch: string, files: readonly string[]): void => {
      const folder = join(directory, "bin", api, platform, arch);
      mkdirSync(folder, { recursive: true });
      for (const file of files) writeFileSync(join(folder, file), "");
    };
    put("napi-v6", "darwin", "arm64", ["libonnxruntime.1.30.0.dylib", "libonnxruntime.1.dylib", "onnxruntime_binding.node"]);
    put("napi-v6", "linux", "x64", ["libonnxruntime_providers_cuda.so", "libonnxruntime.so.1", "onnxruntime_binding.node"]);
    put("napi-v6", "win32", "x64", ["DirectML.dll", "onnxruntime.dll", "onnxruntime_binding.node"]);
    const found = (platform: string, arch: string) => libraryOf({ directory }, platform, arch)?.slice(directory.length + 1).split(/[\\/]/);
    assert.deepEqual(found("darwin", "arm64"), ["bin", "napi-v6", "darwin", "arm64", "libonnxruntime.1.dylib"]);
    assert.deepEqual(found("linux", "x64"), ["bin", "napi-v6", "linux", "x64", "libonnxruntime.so.1"]);
    // Windows' library takes file names in another encoding: there the addon does it.
    assert.equal(found("win32", "x64"), undefined);
    assert.equal(found("linux", "arm64"), undefined);
    rmSync(directory, { recursive: true });
  });
});

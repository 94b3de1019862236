/** The native backend, in a project that has onnxruntime-node: KerasHub's numbers, in one graph and in stages; elsewhere an error with its remedy. */

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { openBackend } from "../../runtime/backends.ts";
import { assertLogs, assertRelative, assertTensor, type Golden, readFixture } from "../golden/goldens.ts";
import { SENTENCES } from "../presets/declaration_sentences.ts";
import { installNative, runThere } from "./install.ts";

/** What `program.ts` prints. */
interface Printed {
  readonly backend: string;
  readonly logits: readonly (readonly number[])[];
  readonly losses: readonly number[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly quantized: Readonly<Record<string, { readonly tokens: readonly string[]; readonly greatest: number }>>;
  readonly steps: Readonly<
    Record<string, readonly Readonly<Record<string, number>>[]>
  >;
}

const golden = readFixture<Golden>("kerashub/xlm_roberta_tiny/golden.json");

describe("the native backend, where onnxruntime-node is installed", () => {
  let printed: Printed;
  before(async () => {
    await installNative();
    printed = JSON.parse(await runThere("./program.ts", "native")) as Printed;
  });

  it("gives KerasHub's logits within 1e-5, whether weights are fed or held", () => {
    assert.equal(printed.logits.length, 3);
    for (const data of printed.logits) {
      assertTensor(
        { shape: golden.logits.shape, data },
        golden.logits,
        1e-5,
        "logits",
      );
    }
  });
  it("gives KerasHub's loss within 1e-6 and gradients within 1e-5, as one graph and in stages", () => {
    for (const loss of printed.losses) {
      assertRelative(loss, golden.loss!, 1e-6, "loss");
    }
    assert.equal(
      Object.keys(printed.gradients).length,
      2 * Object.keys(golden.gradients!).length,
    );
    for (const [path, expected] of Object.entries(golden.gradients!)) {
      for (const way of ["whole", "staged"]) {
        assertTensor(
          { shape: expected.shape, data: printed.gradients[`${way}:${path}`] },
          expected,
          1e-5,
          `${way}: ${path}`,
        );
      }
    }
  });
  for (const [mode, tolerance] of [["float16", 0.02], ["int8", 1]] as const) {
    it(`fills the shipped preset's masks with weights in ${mode}, logits within ${tolerance} of float32's`, () => {
      const { tokens, greatest } = printed.quantized[mode];
      assert.deepEqual(tokens, SENTENCES.map(([, token]) => token));
      assert.ok(greatest > 0 && greatest <= tolerance, String(greatest));
    });
  }
  it("trains as KerasHub does", () => {
    assert.ok(Object.keys(printed.steps).includes("adam"));
    for (const [name, steps] of Object.entries(printed.steps)) {
      golden.runs[name].steps.forEach((expected, i) => assertLogs(steps[i], expected, 5e-6, `${name}, step ${i}`));
    }
  });
  it("is what `auto` picks", async () => {
    const { backend, losses } = JSON.parse(
      await runThere("./program.ts", "auto"),
    ) as Printed;
    assert.equal(backend, "native");
    assert.deepEqual(losses, printed.losses);
  });
});

describe("the native backend, where onnxruntime-node is not installed", () => {
  it("is an error that says how to install it, and `auto` is wasm", async () => {
    await assert.rejects(openBackend("native"), (error: unknown) => {
      assert.ok(error instanceof OnnxHubError, String(error));
      assert.equal(error.code, "backend/unavailable");
      assert.match(
        error.remedy!,
        /npm install --ignore-scripts onnxruntime-node/,
      );
      return true;
    });
    assert.equal((await openBackend("auto")).name, "wasm");
  });
  it("threads that make no sense are refused", async () => {
    for (const threads of [0, -1, 1.5, NaN, 65]) {
      for (const name of ["native", "wasm"] as const) {
        await assert.rejects(
          openBackend(name, { threads }),
          (error: unknown) => (error as OnnxHubError).code === "backend/threads",
        );
      }
    }
  });
});

/** Files of weights: any model's in safetensors, those that KerasHub's layout has a place for in `.weights.h5`; all of a file or nothing. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { float32ToFloat16 } from "../../formats/float16.ts";
import { openSafetensors, type SafetensorsEntry, writeSafetensors } from "../../formats/safetensors.ts";
import { callbacks, models, OnnxHubError, spec } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { refused } from "./refused.ts";

const root = mkdtempSync(join(tmpdir(), "onnxhub-weight-files-"));
after(() => rmSync(root, { recursive: true }));
const at = (name: string): string => join(root, name);
const TINY = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));

const config = {
  vocabulary_size: 30,
  num_layers: 2,
  num_heads: 2,
  hidden_dim: 8,
  intermediate_dim: 16,
  max_sequence_length: 6,
  dropout: 0,
};
const sizes = { vocabularySize: 30, numLayers: 2, numHeads: 2, hiddenDim: 8, intermediateDim: 16, maxSequenceLength: 6, dropout: 0 };
const x = { token_ids: [[0, 5, 6, 2], [0, 7, 8, 2]], padding_mask: [[1, 1, 1, 1], [1, 1, 1, 1]], mask_positions: [[1, 2], [2, 0]] };
const y = [[5, 6], [8, 3]];

const rms = spec.derive(await spec.load("xlm_roberta"), { layers: [{ at: "blocks/encoder/*norm", set: { kind: "rms" } }] });

/** Models that KerasHub's layout has no place for, and one that it has. */
const MODELS: Readonly<Record<string, (seed: number) => Promise<models.MaskedLM>>> = {
  "a variant with other norms": (seed) => models.fromSpec(rms, { task: "masked_lm", config, seed }),
  "a model whose layers share their weights": (seed) =>
    models.fromSpec("xlm_roberta", { task: "masked_lm", config: { ...config, share_layers: true }, seed }),
  "an ordinary model": (seed) => models.fromSpec("xlm_roberta", { task: "masked_lm", config, seed }),
};
const VARIANTS = Object.entries(MODELS).slice(0, 2);

/** The weights' bits, by path. */
async function bitsOf(model: models.Backbone | models.Task): Promise<Record<string, Uint32Array>> {
  const tensors = await model.getWeights();
  return Object.fromEntries(model.weights.map(({ path }, i) => [path, new Uint32Array(tensors[i].data.slice().buffer)]));
}

async function disposeAll(...all: models.Task[]): Promise<void> {
  for (const model of all) {
    await model.dispose();
    await model.backbone.dispose();
  }
}

/** The entries of a file that `saveWeights` wrote. */
function entriesOf(path: string): SafetensorsEntry[] {
  const file = openSafetensors(path);
  const entries = [...file.tensors].map(([name, { shape, size }]) => {
    const data = new Float32Array(size);
    file.read(name, data);
    return { name, shape, dtype: "float32" as const, data };
  });
  file.close();
  return entries;
}

describe("a `.safetensors` file of weights", () => {
  for (const [what, make] of Object.entries(MODELS)) {
    it(`carries ${what} over to the bit: whole, its backbone, its head`, async () => {
      const [trained, other, parts] = [await make(1), await make(2), await make(3)];
      await trained.trainOnBatch(x, y);
      await trained.saveWeights(at("all.safetensors"));
      await other.loadWeights(at("all.safetensors"));
      assert.deepEqual(await bitsOf(other), await bitsOf(trained));
      assert.deepEqual(
        (await other.call(x) as Tensor<"float32">).data,
        (await trained.call(x) as Tensor<"float32">).data,
      );
      await trained.backbone.saveWeights(at("backbone.safetensors"));
      await trained.saveTaskWeights(at("head.safetensors"));
      await parts.backbone.loadWeights(at("backbone.safetensors"));
      assert.notDeepEqual(await bitsOf(parts), await bitsOf(trained));
      await parts.loadTaskWeights(at("head.safetensors"));
      assert.deepEqual(await bitsOf(parts), await bitsOf(trained));
      await disposeAll(trained, other, parts);
    });
  }

  it("has the weights under their own paths, in their order, as float32", async () => {
    const model = await models.fromSpec(rms, { config });
    await model.saveWeights(at("names.safetensors"));
    const file = openSafetensors(at("names.safetensors"));
    assert.deepEqual(
      [...file.tensors].map(([name, { shape, type }]) => ({ name, shape, type })),
      model.weights.map(({ path, shape }) => ({ name: path, shape: [...shape], type: "F32" })),
    );
    assert.ok(file.tensors.has("transformer_layer_1/self_attention_layer_norm/scale"));
    file.close();
    await model.dispose();
  });

  it("keeps every bit of infinities, the least numbers and a negative zero", async () => {
    const make = () => new models.BertBackbone({ ...sizes, shareLayers: true });
    const [a, b] = [make(), make()];
    const weights = await a.getWeights();
    weights[0].data.set([-0, Infinity, -Infinity, 1e-45, 3.4028234663852886e38]);
    await a.setWeights(weights);
    await a.saveWeights(at("bits.safetensors"));
    await b.loadWeights(at("bits.safetensors"));
    assert.deepEqual(await bitsOf(b), await bitsOf(a));
    await Promise.all([a.dispose(), b.dispose()]);
  });

  it("is read in float16, bfloat16 and float64, too", async () => {
    const [a, b] = [new models.XLMRobertaBackbone(sizes), new models.XLMRobertaBackbone({ ...sizes, seed: 1 })];
    // Whole numbers, which all of these hold.
    await a.setWeights((await a.getWeights()).map((tensor, i) => ({ ...tensor, data: tensor.data.map((_, j) => (i + j) % 100) })));
    await a.saveWeights(at("types.safetensors"));
    const stored = entriesOf(at("types.safetensors"));
    const halves: Readonly<Record<string, (values: Float32Array) => Uint16Array | Float64Array>> = {
      float16: (values) => float32ToFloat16(values),
      bfloat16: (values) => new Uint16Array(new Uint32Array(values.slice().buffer).map((bits) => bits >>> 16)),
      float64: (values) => Float64Array.from(values),
    };
    for (const [dtype, convert] of Object.entries(halves)) {
      const entries = stored.map((entry) => ({ ...entry, dtype: dtype as "float16", data: convert(entry.data as Float32Array) }));
      await writeSafetensors(at("types.safetensors"), entries);
      const weights = await a.getWeights();
      await b.setWeights(weights.map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0.5) })));
      await b.loadWeights(at("types.safetensors"));
      assert.deepEqual(await bitsOf(b), await bitsOf(a), dtype);
    }
    await Promise.all([a.dispose(), b.dispose()]);
  });

  it("holds what a spec without KerasHub's names has", async () => {
    const { source } = await spec.load("xlm_roberta");
    const { checkpoints: _, ...rest } = source;
    const make = (seed: number) => models.fromSpec({ ...rest, name: "nameless" }, { config, seed });
    const [a, b] = [await make(1), await make(2)];
    await refused(() => a.saveWeights(at("nameless.weights.h5")), "preset/no-format", /Save to a path that ends in `\.safetensors`/);
    await a.saveWeights(at("nameless.safetensors"));
    await b.loadWeights(at("nameless.safetensors"));
    assert.deepEqual(await bitsOf(b), await bitsOf(a));
    await Promise.all([a.dispose(), b.dispose()]);
  });

  it("is refused for a name that is missing or one too many, another shape or type, and then no weight is touched", async () => {
    const model = await MODELS["a variant with other norms"](1);
    const path = at("changed.safetensors");
    await model.saveWeights(path);
    const stored = entriesOf(path);
    const before = await bitsOf(model);
    const SCALE = "transformer_layer_1/feedforward_layer_norm/scale";
    const CHANGES: [(entries: SafetensorsEntry[]) => SafetensorsEntry[], string, RegExp[]][] = [
      [
        (entries) => entries.filter(({ name }) => name !== SCALE),
        "preset/weights-missing",
        [/A weight is missing/, /expected transformer_layer_1\/feedforward_layer_norm\/scale, found names such as/],
      ],
      [
        (entries) => entries.map((entry) => entry.name === SCALE ? { ...entry, name: SCALE.replace("scale", "scales") } : entry),
        "preset/weights-missing",
        [/nearest name is transformer_layer_1\/feedforward_layer_norm\/scales/],
      ],
      [() => [], "preset/weights-missing", [/\d+ weights are missing/, /no tensors at all/]],
      [
        (entries) => [...entries, { ...entries[0], name: "transformer_layer_2/extra" }],
        "preset/weights-extra",
        [/found transformer_layer_2\/extra/],
      ],
      [
        (entries) => entries.map((entry) => entry.name === SCALE ? { ...entry, shape: [2, 4] } : entry),
        "preset/weights-shape",
        [/scale has another shape/, /expected \[8\], found \[2, 4\]/],
      ],
      [
        (entries) => entries.map((entry) => entry.name === SCALE ? { ...entry, dtype: "int32", data: new Int32Array(8) } : entry),
        "preset/weights-dtype",
        [/expected F16, BF16, F32 or F64, found I32/],
      ],
    ];
    for (const [change, code, says] of CHANGES) {
      // Other values: what of them is loaded is seen.
      await writeSafetensors(path, change(stored.map((entry) => ({ ...entry, data: (entry.data as Float32Array).map((v) => v + 1) }))));
      await refused(() => model.loadWeights(path), code, /changed\.safetensors/, ...says);
      assert.deepEqual(await bitsOf(model), before, code);
    }
    await refused(() => model.backbone.loadWeights(at("none.safetensors")), "format/missing-file", /none\.safetensors/);
    await disposeAll(model);
  });
});

describe("a `.weights.h5` file", () => {
  for (const [what, make] of VARIANTS) {
    it(`is refused for ${what}, with what to do instead, and nothing is left`, async () => {
      const model = await make(1);
      const path = at("v.weights.h5");
      const code = what.includes("norms") ? "preset/weights-unmapped" : "preset/weights-missing";
      for (const saved of [model, model.backbone]) {
        const where = new RegExp(`\\(at ${path}\\)`);
        await refused(() => saved.saveWeights(path), code, where, /Save to a path that ends in `\.safetensors`/);
        await refused(() => saved.loadWeights(path), code, where, /Load a file that was saved to a path that ends in `\.safetensors`/);
      }
      assert.deepEqual(readdirSync(root).filter((name) => name.includes("v.weights.h5")), []);
      await disposeAll(model);
    });
  }

  it("of unshared layers isn't loaded into shared ones, which would take the first alone", async () => {
    const plain = new models.BertBackbone(sizes);
    const shared = new models.BertBackbone({ ...sizes, shareLayers: true, seed: 1 });
    await plain.saveWeights(at("plain.weights.h5"));
    const before = await bitsOf(shared);
    await refused(() => shared.loadWeights(at("plain.weights.h5")), "preset/weights-missing", /transformer_layer_1/);
    assert.deepEqual(await bitsOf(shared), before);
    await Promise.all([plain.dispose(), shared.dispose()]);
  });
});

describe("saveToPreset", () => {
  for (const [what, make] of VARIANTS) {
    it(`refuses ${what}, and says which file holds its weights`, async () => {
      const model = await make(1);
      await refused(() => model.saveToPreset(at("preset")), "preset/inexpressible", /`saveWeights` to a `\.safetensors` file/);
      await disposeAll(model);
    });
  }
});

describe("an error of saveWeights names the path that was given", () => {
  for (const suffix of [".weights.h5", ".safetensors"]) {
    it(`${suffix}: where there is no such directory, where a directory is in the way, relative or not`, async () => {
      const model = await models.XLMRobertaMaskedLM.fromPreset(TINY);
      mkdirSync(at(`taken${suffix}`), { recursive: true });
      for (const path of [at(`none/v${suffix}`), relative(process.cwd(), at(`none/v${suffix}`)), at(`taken${suffix}`)]) {
        for (const save of [() => model.saveWeights(path), () => model.backbone.saveWeights(path), () => model.saveTaskWeights(path)]) {
          await assert.rejects(save(), (error: OnnxHubError) => {
            assert.ok(error instanceof OnnxHubError);
            assert.deepEqual([error.code, error.path], ["format/write", path]);
            assert.doesNotMatch(error.message, /\.saving/);
            if (path.includes("none")) assert.match(error.message, /Make the directory first/);
            return true;
          });
        }
      }
      assert.deepEqual(readdirSync(root).filter((name) => name.endsWith(".saving")), []);
      await disposeAll(model);
    });
  }

  it("and refuses any other suffix with both of these", async () => {
    const backbone = new models.XLMRobertaBackbone(sizes);
    for (const name of ["v.h5", "v.safetensor", "v"]) {
      await refused(() => backbone.saveWeights(at(name)), "preset/weights-name", /\.weights\.h5/, /\.safetensors/);
      await refused(() => backbone.loadWeights(at(name)), "preset/weights-name", /\.weights\.h5/, /\.safetensors/);
    }
    await backbone.dispose();
  });
});

describe("ModelCheckpoint", () => {
  for (const [what, make] of VARIANTS) {
    it(`saves ${what} after every epoch, and refuses a \`.weights.h5\` before the first`, async () => {
      const model = await make(1);
      const start = await bitsOf(model);
      const fit = (filepath: string) =>
        model.fit({ x, y, epochs: 2, verbose: 0, callbacks: [new callbacks.ModelCheckpoint({ filepath, monitor: "loss" })] });
      const code = what.includes("norms") ? "preset/weights-unmapped" : "preset/weights-missing";
      await refused(() => fit(at("checkpoints/{epoch}.weights.h5")), code, /\{epoch\}\.weights\.h5/, /ends in `\.safetensors`/);
      assert.deepEqual(await bitsOf(model), start);
      await fit(at("checkpoints/{epoch:02d}.safetensors"));
      assert.deepEqual(readdirSync(at("checkpoints")).sort(), ["01.safetensors", "02.safetensors"]);
      const [first, last] = [await make(2), await make(3)];
      await first.loadWeights(at("checkpoints/01.safetensors"));
      await last.loadWeights(at("checkpoints/02.safetensors"));
      assert.deepEqual(await bitsOf(last), await bitsOf(model));
      assert.notDeepEqual(await bitsOf(first), await bitsOf(model));
      await disposeAll(model, first, last);
      rmSync(at("checkpoints"), { recursive: true });
    });
  }
});

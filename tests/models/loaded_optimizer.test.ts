/** Whether training goes on from a `.weights.h5` file as if it had never been interrupted: the optimizer's variables in it, and what becomes of those that don't fit. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createHdf5, openHdf5 } from "../../formats/hdf5.ts";
import { losses, models, optimizers } from "../../mod.ts";
import { refused } from "./refused.ts";
import { warningsOf } from "./warnings.ts";

const root = mkdtempSync(join(tmpdir(), "onnxhub-optimizer-"));
after(() => rmSync(root, { recursive: true }));

const sizes = { vocabularySize: 20, numLayers: 1, numHeads: 2, hiddenDim: 8, intermediateDim: 12, maxSequenceLength: 6 };

interface Made {
  readonly optimizer?: optimizers.Optimizer;
  readonly dropout?: number;
  readonly trainable?: boolean;
  readonly seed?: number;
}

/** A classifier with fresh weights. */
function made(
  { optimizer = new optimizers.Adam(0.01), dropout = 0.2, trainable = true, seed = 1 }: Made = {},
): models.XLMRobertaTextClassifier {
  const backbone = new models.XLMRobertaBackbone({ ...sizes, dropout, seed });
  backbone.trainable = trainable;
  const model = new models.XLMRobertaTextClassifier({ backbone, numClasses: 3, dropout });
  model.compile({ optimizer });
  return model;
}

/** Rows and their classes. */
const token_ids = Array.from({ length: 8 }, (_, i) => [0, 3 + i, 4 + (i * 5) % 15, 2]);
const x = { token_ids, padding_mask: token_ids.map((row) => row.map(() => 1)) };
const y = token_ids.map((_, i) => i % 3);

async function steps(model: models.Task, count: number): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < count; i++) losses.push((await model.trainOnBatch(x, y)).loss);
  return losses;
}

/** A model trained for so many steps, saved. */
async function saved(name: string, options: Made, count: number): Promise<{ path: string; model: models.XLMRobertaTextClassifier }> {
  const path = join(root, `${name}.weights.h5`);
  const model = made(options);
  await steps(model, count);
  await model.saveWeights(path);
  return { path, model };
}

async function end(...all: models.Task[]): Promise<void> {
  for (const model of all) {
    await model.dispose();
    await model.backbone.dispose();
  }
}

const OPTIMIZERS: Readonly<Record<string, () => optimizers.Optimizer>> = {
  Adam: () => new optimizers.Adam(0.01),
  "AdamW with AMSGrad": () => new optimizers.AdamW({ learningRate: 0.01, amsgrad: true }),
  "SGD with momentum": () => new optimizers.SGD({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
  "SGD alone": () => new optimizers.SGD(0.05),
  "RMSprop, centered": () => new optimizers.RMSprop({ learningRate: 0.01, centered: true, momentum: 0.5 }),
  Adafactor: () => new optimizers.Adafactor(0.01),
  Lamb: () => new optimizers.Lamb(0.01),
  Nadam: () => new optimizers.Nadam(0.01),
  Muon: () => new optimizers.Muon(0.01),
  "Adam, accumulating and averaging": () => new optimizers.Adam({ learningRate: 0.01, gradientAccumulationSteps: 2, useEma: true }),
  "Adam with a schedule": () =>
    new optimizers.Adam(new optimizers.schedules.ExponentialDecay({ initialLearningRate: 0.05, decaySteps: 2, decayRate: 0.5 })),
};

describe("a model that is loaded trains on to the bits of one that never stopped", () => {
  for (const [name, make] of Object.entries(OPTIMIZERS)) {
    it(name, async () => {
      const { path, model } = await saved("interrupted", { optimizer: make() }, 5);
      const resumed = made({ optimizer: make() });
      assert.deepEqual(await warningsOf(() => resumed.loadWeights(path)), []);
      assert.equal(resumed.optimizerState!.iterations, model.optimizerState!.iterations);
      assert.deepEqual(resumed.optimizerState!.variables, model.optimizerState!.variables);
      assert.deepEqual(await steps(resumed, 4), await steps(model, 4));
      assert.deepEqual(await resumed.getWeights(), await model.getWeights());
      await end(model, resumed);
    });
  }

  it("in `fit`, epoch by epoch", async () => {
    const options = { x, y, batchSize: 3, verbose: 0 } as const;
    const path = join(root, "fit.weights.h5");
    const [whole, first, second] = [made(), made(), made()];
    const { history } = await whole.fit({ ...options, epochs: 4 });
    const { history: begun } = await first.fit({ ...options, epochs: 2 });
    await first.saveWeights(path);
    await second.loadWeights(path);
    const { history: resumed } = await second.fit({ ...options, initialEpoch: 2, epochs: 4 });
    assert.deepEqual([...begun.loss, ...resumed.loss], history.loss);
    assert.deepEqual(await second.getWeights(), await whole.getWeights());
    await end(whole, first, second);
  });
});

describe("the optimizer's variables in a file", () => {
  it("are KerasHub's own too, with slots for a pooler that gets no gradients", async () => {
    const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/kerashub-formats/${name}`, import.meta.url));
    const golden = JSON.parse(readFileSync(fixture("trained.json"), "utf8"));
    const model = new models.BertMaskedLM({ backbone: models.BertBackbone.fromConfig(golden.config) });
    model.compile({ optimizer: new optimizers.Adam(0.01), loss: new losses.SparseCategoricalCrossentropy({ fromLogits: true }) });
    assert.deepEqual(await warningsOf(() => model.loadWeights(fixture("trained.weights.h5"))), []);
    const { iterations, learningRate, variables } = model.optimizerState!;
    assert.deepEqual([iterations, learningRate], [golden.iterations, golden.learning_rate]);
    assert.ok(variables.length < golden.variables);
    for (const expected of golden.losses) {
      const { loss } = await model.trainOnBatch(golden.x, golden.y);
      assert.ok(Math.abs(loss - expected) <= 1e-6 * expected, `${loss}, KerasHub's is ${expected}`);
    }
    await end(model);
  });

  it("replace those of a training that has begun", async () => {
    const { path, model } = await saved("begun", {}, 3);
    const other = made({ seed: 2 });
    await steps(other, 7);
    await other.loadWeights(path);
    assert.equal(other.optimizerState!.iterations, 3);
    await model.dispose();
    await model.backbone.dispose();
    const again = made();
    await again.loadWeights(path);
    assert.deepEqual((await other.evaluate({ x, y, verbose: 0 })).loss, (await again.evaluate({ x, y, verbose: 0 })).loss);
    await end(other, again);
  });

  it("are those of the head where the backbone is frozen, and fit no model that trains it", async () => {
    const { path, model } = await saved("frozen", { trainable: false }, 3);
    const [resumed, whole] = [made({ trainable: false }), made()];
    assert.deepEqual(await warningsOf(() => resumed.loadWeights(path)), []);
    assert.equal(resumed.optimizerState!.iterations, 3);
    assert.deepEqual(await steps(resumed, 3), await steps(model, 3));
    const [warning, ...more] = await warningsOf(() => whole.loadWeights(path));
    assert.match(
      warning,
      /^Skipping variable loading for optimizer 'adam', because it has \d+ variables whereas the saved optimizer has \d+ variables\.$/,
    );
    assert.deepEqual(more, []);
    assert.equal(whole.optimizerState, null);
    await end(model, resumed, whole);
  });

  it("of another optimizer are left out with a warning, and training begins anew", async () => {
    const { path, model } = await saved("another", {}, 3);
    const weights = await model.getWeights();
    const sgd = () => made({ optimizer: new optimizers.SGD({ learningRate: 0.05, momentum: 0.9 }) });
    const [loaded, expected] = [sgd(), sgd()];
    const warnings = await warningsOf(() => loaded.loadWeights(path));
    assert.match(warnings.join("\n"), /^Skipping variable loading for optimizer 'sgd', because it has \d+ variables/);
    assert.equal(loaded.optimizerState, null);
    await expected.setWeights(weights);
    assert.deepEqual(await steps(loaded, 3), await steps(expected, 3));
    assert.equal(loaded.optimizerState!.iterations, 3);
    await end(model, loaded, expected);
  });

  it("of another optimizer are left out where they have the same shapes, too", async () => {
    const { path, model } = await saved("velocities", { optimizer: new optimizers.RMSprop(0.01) }, 2);
    const loaded = made({ optimizer: new optimizers.SGD({ learningRate: 0.05, momentum: 0.9 }) });
    const warnings = await warningsOf(() => loaded.loadWeights(path));
    assert.deepEqual(warnings, [
      "Skipping variable loading for optimizer 'sgd', because it is of the class SGD whereas the saved optimizer is 'rm_sprop'.",
    ]);
    assert.equal(loaded.optimizerState, null);
    await end(model, loaded);
  });

  it("are left alone, without a word, by a model that isn't compiled", async () => {
    const { path, model } = await saved("uncompiled", {}, 2);
    const loaded = new models.XLMRobertaTextClassifier({ backbone: new models.XLMRobertaBackbone(sizes), numClasses: 3, compile: false });
    assert.deepEqual(await warningsOf(() => loaded.loadWeights(path)), []);
    assert.equal(loaded.optimizerState, null);
    assert.deepEqual(await loaded.getWeights(), await model.getWeights());
    loaded.compile({ optimizer: new optimizers.Adam(0.01) });
    assert.equal(loaded.optimizerState, null);
    await end(model, loaded);
  });

  it("that aren't there are missed with Keras' words", async () => {
    const path = join(root, "none.weights.h5");
    const model = new models.XLMRobertaTextClassifier({ backbone: new models.XLMRobertaBackbone(sizes), numClasses: 3, compile: false });
    await model.saveWeights(path);
    const loaded = made();
    assert.deepEqual(await warningsOf(() => loaded.loadWeights(path)), [
      "Skipping variable loading for optimizer 'adam', because it has 2 variables whereas the saved optimizer has 0 variables.",
    ]);
    await end(model, loaded);
  });

  it("saved before training give the learning rate, and are nothing to begin with where that is the model's own", async () => {
    const { path, model } = await saved("untrained", { optimizer: new optimizers.Adam(0.03) }, 0);
    const [same, other, trained] = [made({ optimizer: new optimizers.Adam(0.03) }), made(), made()];
    await steps(trained, 1);
    assert.deepEqual(await warningsOf(() => Promise.all([same.loadWeights(path), other.loadWeights(path)])), []);
    assert.equal(same.optimizerState, null);
    assert.equal(other.optimizerState!.learningRate, Math.fround(0.03));
    assert.deepEqual(await steps(other, 3), await steps(same, 3));
    assert.match((await warningsOf(() => trained.loadWeights(path)))[0], /whereas the saved optimizer has 2 variables/);
    assert.equal(trained.optimizerState!.iterations, 1);
    await end(model, same, other, trained);
  });

  it("are written back as they were read", async () => {
    const { path, model } = await saved("once", {}, 3);
    const loaded = made();
    await loaded.loadWeights(path);
    const again = join(root, "again.weights.h5");
    await loaded.saveWeights(again);
    // HDF5 says of every dataset in which second it was made: the rest is the same.
    assert.equal(statSync(again).size, statSync(path).size);
    const contents = (file: string): unknown => {
      const opened = openHdf5(file);
      const datasets = opened.datasets().map((name) => {
        const { shape, size, read } = opened.dataset(name);
        const values = new Float32Array(size);
        read(values);
        return { name, shape, values };
      });
      opened.close();
      return datasets;
    };
    assert.deepEqual(contents(again), contents(path));
    await end(model, loaded);
  });
});

describe("loadWeights changes all or nothing", () => {
  /** A file like another with other values, and without the datasets that `change` says no to. */
  async function altered(path: string, change: (name: string, values: Float32Array) => boolean | void): Promise<string> {
    const out = join(root, "altered.weights.h5");
    const [from, to] = [openHdf5(path), await createHdf5(out)];
    for (const name of from.datasets()) {
      const { shape, size, read } = from.dataset(name);
      const values = new Float32Array(size);
      read(values);
      if (change(name, values) !== false) to.dataset(name, shape, values);
    }
    from.close();
    to.close();
    return out;
  }

  it("the optimizer stays as it was where the weights are another model's, and nothing is warned of", async () => {
    const { path, model } = await saved("small", {}, 3);
    const backbone = new models.XLMRobertaBackbone({ ...sizes, vocabularySize: 21 });
    const other = new models.XLMRobertaTextClassifier({ backbone, numClasses: 3 });
    await steps(other, 1);
    const before = { weights: await other.getWeights(), variables: structuredClone(other.optimizerState!.variables) };
    assert.deepEqual(await warningsOf(() => refused(() => other.loadWeights(path), "preset/weights-shape")), []);
    assert.deepEqual({ weights: await other.getWeights(), variables: other.optimizerState!.variables }, before);
    await end(model, other);
  });

  it("the optimizer stays as it was where a weight is missing beside variables that fit", async () => {
    const { path, model } = await saved("incomplete", {}, 3);
    const file = await altered(path, (name) => !/dense\/vars\/1$/.test(name));
    const [fresh, trained] = [made({ seed: 2 }), made({ seed: 2 })];
    await steps(trained, 1);
    const before = { weights: await trained.getWeights(), variables: structuredClone(trained.optimizerState!.variables) };
    for (const other of [fresh, trained]) await refused(() => other.loadWeights(file), "preset/weights-missing");
    assert.equal(fresh.optimizerState, null);
    assert.deepEqual({ weights: await trained.getWeights(), variables: trained.optimizerState!.variables }, before);
    await end(model, fresh, trained);
  });

  it("counters that can't be are left out with the slots", async () => {
    const { path, model } = await saved("counted", {}, 3);
    for (const count of [-1, 0.5, NaN]) {
      const file = await altered(path, (name, values) => void (name === "optimizer/vars/0" && values.fill(count)));
      const loaded = made({ seed: 2 });
      const warnings = await warningsOf(() => loaded.loadWeights(file));
      assert.match(warnings.join("\n"), new RegExp(`because the saved optimizer has done ${count} batches`));
      assert.equal(loaded.optimizerState, null);
      assert.deepEqual(await loaded.getWeights(), await model.getWeights());
      await end(loaded);
    }
    await end(model);
  });
});

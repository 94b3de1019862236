/** Losses and metrics against Keras' own values, and expressions against the built-in ones. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import type { Value } from "../../codegen/ir/types.ts";
import { buildExpression } from "../../codegen/expression.ts";
import { type LossConfig, lossRule, reduceLosses } from "../../codegen/losses.ts";
import { metricRule, metricRules } from "../../codegen/metrics.ts";
import { OnnxHubError } from "../../errors.ts";
import { Expression as LossExpression, getLoss, type Loss, SparseCategoricalCrossentropy } from "../../training/loss_options.ts";
import { getMetric } from "../../training/metric_options.ts";

const REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight"] as const;

interface Named {
  readonly name: string;
  readonly labels: string;
  readonly predictions: string;
  readonly config: LossConfig["config"];
}

const fixture = JSON.parse(readFileSync(new URL("../fixtures/losses.json", import.meta.url), "utf8")) as {
  inputs: Record<string, { shape: number[]; data: number[] }>;
  losses: (Named & { values: number[]; reduced: Record<string, number> })[];
  metrics: (Named & { label: string; weighted?: number; unweighted?: number })[];
};

/** Builds a graph over inputs of the fixture and evaluates it in float64. */
function run(names: readonly string[], build: (g: GraphBuilder, ...values: Value[]) => Record<string, Value>): Record<string, number[]> {
  const g = new GraphBuilder("test");
  const values = names.map((name, i) => g.input(`${i}`, name === "index" ? "int32" : "float32", fixture.inputs[name].shape));
  for (const [name, value] of Object.entries(build(g, ...values))) g.output(name, value);
  const feeds = Object.fromEntries(
    names.map((name, i) => [`${i}`, { shape: fixture.inputs[name].shape, data: Float64Array.from(fixture.inputs[name].data) }]),
  );
  const results = evaluate(g.finish(), feeds);
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, [...data]]));
}

function close(found: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  found.forEach((x, i) =>
    assert.ok(Math.abs(x - expected[i]) <= 2e-6 * Math.max(1, Math.abs(expected[i])), `${what}[${i}]: ${x}, Keras ${expected[i]}`)
  );
}

describe("losses give Keras' values", () => {
  for (const { name, labels, predictions, config, values, reduced } of fixture.losses) {
    it(`${name} ${JSON.stringify(config)} of ${labels} and ${predictions}`, () => {
      const rule = lossRule({ name, config });
      const found = run([labels, predictions, "weights"], (g, y, p, w) => {
        const all = { ...rule.defaults, ...config };
        const losses = rule.build(g, y, p, all);
        const reduce = (reduction: typeof REDUCTIONS[number]) => reduceLosses(g, losses, w, reduction, rule.valid?.(g, y, all) ?? null);
        return { losses, ...Object.fromEntries(REDUCTIONS.map((reduction) => [reduction, reduce(reduction)])) };
      });
      // Unreduced, Keras scales nothing: its values are the losses themselves.
      close(found.losses, values, "losses");
      for (const reduction of REDUCTIONS) close(found[reduction], [reduced[reduction]], reduction);
    });
  }
});

describe("metrics give Keras' values", () => {
  for (const { name, labels, predictions, config, label, weighted, unweighted } of fixture.metrics) {
    it(`${name} ${JSON.stringify(config)} of ${labels} and ${predictions}`, () => {
      const rule = metricRule({ name, config });
      assert.equal(rule.label, label.replace(/_\d+$/, ""));
      const result = (ones: boolean): number => {
        const { total, count } = run(
          [labels, predictions, "weights"],
          (g, y, p, w) => rule.build(g, y, p, ones ? g.cast(g.greaterOrEqual(w, 0), "float32") : w, { ...rule.defaults, ...config }),
        );
        const mean = total[0] / count[0];
        return rule.result === "sqrt" ? Math.sqrt(mean) : mean;
      };
      if (weighted !== undefined) close([result(false)], [weighted], "weighted");
      if (unweighted !== undefined) close([result(true)], [unweighted], "unweighted");
    });
  }

  it("perplexity is e to the mean cross-entropy of the labels that are not the mask token", () => {
    const { index, logits, weights } = fixture.inputs;
    const classes = logits.shape[2];
    let [sum, count] = [0, 0];
    index.data.forEach((y, i) => {
      if (y === 2) return;
      const row = logits.data.slice(i * classes, (i + 1) * classes);
      sum += weights.data[i] * (Math.log(row.reduce((a, z) => a + Math.exp(z), 0)) - row[y]);
      count += weights.data[i];
    });
    const rule = metricRules.Perplexity;
    const found = run(["index", "logits", "weights"], (g, y, p, w) => rule.build(g, y, p, w, { from_logits: true, mask_token_id: 2 }));
    close([Math.exp(found.total[0] / found.count[0])], [Math.exp(sum / count)], "perplexity");
    assert.equal(rule.result, "exp");
  });
});

describe("expressions", () => {
  const built = (names: readonly string[], text: string) =>
    run(names, (g, y_true, y_pred) => ({ out: buildExpression(g, text, { y_true, y_pred }, "loss") })).out;

  it("give the values of the losses that they spell out", () => {
    const [mse] = fixture.losses.filter(({ name }) => name === "MeanSquaredError");
    close(built(["real", "logits"], "mean((y_pred - y_true) ** 2, axis=-1)"), mse.values, "mean squared error");
    const [cross] = fixture.losses.filter(({ name, config }) => name === "SparseCategoricalCrossentropy" && config.from_logits);
    close(built(["index", "logits"], "-pick(log_softmax(y_pred), y_true)"), cross.values, "cross-entropy");
    const huber = fixture.losses.find(({ name, config }) => name === "Huber" && config.delta)!;
    close(
      built(
        ["real", "logits"],
        "mean(where(abs(y_pred - y_true) <= 0.4, 0.5 * (y_pred - y_true) ** 2, 0.4 * abs(y_pred - y_true) - 0.08), axis=-1)",
      ),
      huber.values,
      "Huber",
    );
  });

  const refused = (text: string, expected: RegExp) => {
    assert.throws(
      () => built(["real", "logits"], text),
      (error: unknown) => error instanceof OnnxHubError && error.code === "codegen/expression" && expected.test(error.message),
    );
  };
  it("with an unknown name are refused with the nearest", () => refused("mean(y_tru)", /y_tru.*Did you mean `y_true`\?/s));
  it("with an unknown function are refused with the nearest", () => refused("sqare(y_true)", /sqare.*Did you mean `square`\?/s));
  it("that don't parse are refused", () => refused("mean(y_true", /no expression/));
  it("with what is no arithmetic are refused", () => refused("'a' + y_true", /StringLiteral/));
});

describe("losses and metrics as users write them", () => {
  const refused = (body: () => unknown, code: string, expected: RegExp) =>
    assert.throws(body, (error: unknown) => error instanceof OnnxHubError && error.code === code && expected.test(error.message));

  it("go by Keras' strings and class names", () => {
    assert.equal(getLoss("sparse_categorical_crossentropy").description.name, "SparseCategoricalCrossentropy");
    assert.equal(getLoss("mse").description.name, "MeanSquaredError");
    assert.equal(getLoss("KLDivergence").name, "kl_divergence");
    assert.equal(getMetric("mae", getLoss("mse").description).name, "mean_absolute_error");
  });
  it("resolve accuracy by the labels of the loss", () => {
    const accuracy = (loss: Loss) => getMetric("accuracy", loss.description);
    assert.equal(accuracy(getLoss("binary_crossentropy")).name, "accuracy");
    assert.equal(accuracy(getLoss("binary_crossentropy")).description.name, "BinaryAccuracy");
    assert.equal(accuracy(getLoss("sparse_categorical_crossentropy")).description.name, "SparseCategoricalAccuracy");
    assert.equal(accuracy(new LossExpression("y_pred")).description.name, "SparseCategoricalAccuracy");
    assert.equal(accuracy(new LossExpression("y_pred", { labels: "like_predictions" })).description.name, "CategoricalAccuracy");
  });
  it("give Keras' configuration", () => {
    assert.deepEqual(new SparseCategoricalCrossentropy({ fromLogits: true }).getConfig(), {
      name: "sparse_categorical_crossentropy",
      reduction: "sum_over_batch_size",
      from_logits: true,
    });
  });
  it("that don't exist are refused with the nearest", () => {
    refused(() => getLoss("sparse_categorical_crossentrop"), "loss/unknown", /Did you mean "sparse_categorical_crossentropy"\?/);
    refused(() => getMetric("acuracy", getLoss("mse").description), "metric/unknown", /Did you mean "accuracy"\?/);
  });
  it("with an unknown option or reduction are refused", () => {
    refused(() => new SparseCategoricalCrossentropy({ fromLogit: true } as object), "loss/option", /Did you mean `fromLogits`\?/);
    refused(() => new SparseCategoricalCrossentropy({ reduction: "average" } as object), "loss/reduction", /average/);
  });
  it("that are JavaScript functions are refused, saying what to write", () => {
    refused(() => getLoss((() => 0) as unknown as string), "loss/function", /losses\.Expression/);
    refused(() => getMetric((() => 0) as unknown as string, getLoss("mse").description), "metric/function", /metrics\.Expression/);
  });
});

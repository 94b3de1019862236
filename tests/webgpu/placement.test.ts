/** No node of a program falls back to the processor. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { compile, type CompileRequest } from "../../codegen/compile.ts";
import { symbolsOf } from "../../codegen/ir/dims.ts";
import { type LossName, lossRules } from "../../codegen/losses.ts";
import { type MetricName, metricRules } from "../../codegen/metrics.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { trainingRequest } from "../../codegen/training_request.ts";
import { OnnxHubError } from "../../errors.ts";
import { type Device, dimensionsOf } from "../../runtime/device.ts";
import { architectureNames, type ConfigValue, expand, type ExpandedSpec, load } from "../../spec/index.ts";
import { onWebgpu } from "./with_webgpu.ts";

/** Small values for whatever a spec requires. */
const SMALL: Readonly<Record<string, ConfigValue>> = {
  vocabulary_size: 30,
  num_layers: 1,
  num_heads: 2,
  num_query_heads: 4,
  num_key_value_heads: 2,
  hidden_dim: 16,
  embedding_dim: 8,
  intermediate_dim: 24,
  dropout: 0.1,
};

const specs = [
  ...architectureNames,
  ...["albert", "gpt2"].map((name) => new URL(`../fixtures/architectures/${name}.json`, import.meta.url)),
];

async function tasksOf(source: string | URL): Promise<ExpandedSpec[]> {
  const spec = await load(source);
  const config = Object.fromEntries(Object.entries(SMALL).filter(([key]) => key in spec.source.config));
  return Object.keys(spec.source.heads ?? {}).map((task) => {
    const taskConfig: Record<string, ConfigValue> = task === "text_classifier" ? { num_classes: 3 } : {};
    return expand(spec, { config, task, taskConfig });
  });
}

/** Loads a program so that a node without a kernel on the GPU is an error. */
async function loadWhole(device: Device, spec: ExpandedSpec, request: CompileRequest): Promise<void> {
  const { program } = compile(spec, { ...request, provider: "webgpu" });
  const [{ model, inputs }] = program.stages;
  const symbols = [...symbolsOf(inputs.flatMap(({ shape }) => shape))];
  const sizes = Object.fromEntries(symbols.map((symbol) => [symbol, symbol === "batch" ? 2 : 6]));
  const session = await device.load(model, { label: `${spec.name} ${spec.head!.task}`, sizes: dimensionsOf(inputs, sizes), whole: true });
  await session.dispose();
}

describe("on WebGPU every node runs there,", () => {
  for (const source of specs) {
    const name = typeof source === "string" ? source : source.pathname.split("/").at(-1)!;
    onWebgpu(`for training, testing and inference of ${name}, each task`, async (device) => {
      const tasks = await tasksOf(source);
      assert.ok(tasks.length > 0);
      for (const spec of tasks) {
        const request = trainingRequest(spec);
        for (const mode of ["train", "test"] as const) await loadWhole(device, spec, { ...request, mode });
        await loadWhole(device, spec, { mode: "infer" });
      }
    });
  }

  for (const name of Object.keys(lossRules) as LossName[]) {
    onWebgpu(`with the loss ${name} and all metrics that go with it`, async (device) => {
      const [spec] = (await tasksOf("bert")).filter(({ head }) => head!.task === "text_classifier");
      const { labels, defaults } = lossRules[name];
      const fits = (Object.keys(metricRules) as MetricName[]).filter((metric) =>
        labels === "like_predictions" || metricRules[metric].labels === "index"
      );
      const config = (values: Readonly<Record<string, ConfigValue>>) => "k" in values ? { ...values, k: 2 } : { ...values };
      await loadWhole(device, spec, {
        mode: "train",
        loss: { name, config: { ...defaults } },
        metrics: fits.map((metric) => ({ name: metric, config: config(metricRules[metric].defaults), label: metric, weighted: true })),
      });
    });
  }

  onWebgpu("and a node that can't is found", async (device) => {
    const g = new GraphBuilder("erring");
    g.output("y", g.logSoftmax(g.input("x", "float32", [2, 3])));
    const load = device.load(encode(g.finish()), { label: "erring", sizes: {}, whole: true });
    await assert.rejects(
      load,
      (error: unknown) => error instanceof OnnxHubError && error.code === "backend/load" && /CPU EP/.test(error.message),
    );
  });
});

/** This project as a contestant, through its public API: `model.ts wasm | native | webgpu`. */

import process from "node:process";
import { models, optimizers } from "../../mod.ts";
import { type Prepared, serve } from "../serve.ts";
import { median } from "../statistics.ts";
import { initialWeight, inputsOf, type Workload } from "../workload.ts";
import { watchSessions } from "./session_time.ts";

type BackendName = NonNullable<ConstructorParameters<typeof models.XLMRobertaBackbone>[0]["backend"]>;

const backend = process.argv[2] as BackendName;
const sessions = watchSessions(backend === "native");
const facts = { runtime: sessions.runtime };

/** A model of the workload's shape, compiled as it says. */
async function build(
  { shape, dropout, threads, trains, optimizer, learningRate, sameWeights }: Workload,
): Promise<models.XLMRobertaMaskedLM> {
  const backbone = new models.XLMRobertaBackbone({ ...shape, dropout, backend, threads });
  if (trains === "head") backbone.trainable = false;
  const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor: null });
  const rule = optimizer === "adam" ? new optimizers.Adam(learningRate) : new optimizers.SGD(learningRate);
  // Where all start from the same weights, nobody computes metrics: not every peer has them.
  maskedLM.compile({ optimizer: rule, ...sameWeights ? { weightedMetrics: [] } : {} });
  if (sameWeights) {
    await maskedLM.setWeights(maskedLM.weights.map(({ path, shape }) => ({ dtype: "float32", shape, data: initialWeight(path, shape) })));
  }
  return maskedLM;
}

function batchOf(workload: Workload) {
  const { batch, sequence, masks } = workload;
  const { tokenIds, maskPositions, labels } = inputsOf(workload);
  const tensor = (data: Int32Array<ArrayBuffer>, columns: number) => ({ dtype: "int32" as const, shape: [batch, columns], data });
  const x = {
    token_ids: tensor(tokenIds, sequence),
    padding_mask: tensor(new Int32Array(batch * sequence).fill(1), sequence),
    mask_positions: tensor(maskPositions, masks),
  };
  const weight = { dtype: "float32" as const, shape: [batch, masks], data: new Float32Array(batch * masks).fill(1) };
  return { x, y: tensor(labels, masks), weight };
}

const PREPARE: Readonly<Record<string, (workload: Workload) => Promise<Prepared>>> = {
  "training step": async (workload) => {
    const maskedLM = await build(workload);
    const { x, y, weight } = batchOf(workload);
    const outside: number[] = [];
    return {
      facts,
      dispose: () => dispose(maskedLM),
      step: async () => {
        const start = performance.now();
        sessions.reset();
        const { loss } = await maskedLM.trainOnBatch(x, y, weight);
        const seconds = (performance.now() - start) / 1000;
        outside.push(1 - sessions.seconds() / seconds);
        return { seconds, facts: { loss, outsideRuntime: median(outside) } };
      },
    };
  },
  prediction: async (workload) => {
    const maskedLM = await build(workload);
    const { x } = batchOf(workload);
    return { facts, dispose: () => dispose(maskedLM), step: async () => void await maskedLM.predictOnBatch(x) };
  },
  "fill-mask": async ({ checkpoint, text, threads, weights }) => {
    const maskedLM = await models.MaskedLM.fromPreset(checkpoint!, { backend, threads });
    await maskedLM.quantize(weights ?? "float32");
    return {
      facts,
      dispose: () => dispose(maskedLM),
      step: async () => ({ facts: { tokens: (await maskedLM.fillMask(text!, { topK: 5 })).map(({ id }) => id) } }),
    };
  },
};

async function dispose(maskedLM: models.MaskedLM): Promise<void> {
  await maskedLM.dispose();
  await maskedLM.backbone.dispose();
}

await serve((workload) => PREPARE[workload.measured](workload));

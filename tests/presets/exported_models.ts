/** Small models of every kind that is exported, with tokenizers, and exported folders run by onnxruntime-web. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web";
import { models, RandomStream } from "../../mod.ts";
import { fixture } from "../golden/goldens.ts";

const SIZES = { numLayers: 2, numHeads: 2, hiddenDim: 16, intermediateDim: 24, maxSequenceLength: 24 };

/** Weights that tell one token from another, as fresh ones hardly do: norms near 1, all else spread. */
async function spread<T extends models.Task>(task: T): Promise<T> {
  const weights = await task.getWeights();
  await task.setWeights(weights.map(({ dtype, shape, data }, at) => {
    const { path } = task.weights[at];
    const stream = new RandomStream(7, path);
    return {
      dtype,
      shape,
      data: data.map((_, i) => path.endsWith("/gamma") ? 0.8 + 0.4 * stream.uniform(i) : 0.6 * stream.uniform(i) - 0.3),
    };
  }));
  return task;
}

function wordPiece(): models.BertTokenizer {
  return new models.BertTokenizer({ vocabulary: fixture("tokenizer/bert-uncased/vocab.txt"), lowercase: true });
}

function bytePair(): models.RobertaTokenizer {
  const folder = fixture("tokenizer/roberta-bpe");
  return new models.RobertaTokenizer({ vocabulary: join(folder, "vocab.json"), merges: join(folder, "merges.txt") });
}

const TINY = fixture("kerashub/xlm_roberta_tiny");

/** Masked language models, by the kind of their tokenizer. */
export const MASKED_LMS: Readonly<Record<string, () => Promise<models.MaskedLM>>> = {
  SentencePiece: () => models.XLMRobertaMaskedLM.fromPreset(TINY),
  WordPiece() {
    const tokenizer = wordPiece();
    const backbone = new models.BertBackbone({ ...SIZES, vocabularySize: tokenizer.vocabularySize });
    const preprocessor = new models.BertMaskedLMPreprocessor({ tokenizer, sequenceLength: 24 });
    return spread(new models.BertMaskedLM({ backbone, preprocessor }));
  },
  "byte-level BPE"() {
    const tokenizer = bytePair();
    const backbone = new models.RobertaBackbone({ ...SIZES, vocabularySize: tokenizer.vocabularySize });
    const preprocessor = new models.RobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 24 });
    return spread(new models.RobertaMaskedLM({ backbone, preprocessor }));
  },
};

/** Classifiers, by the kind of their tokenizer. */
export const CLASSIFIERS: Readonly<Record<string, () => Promise<models.TextClassifier>>> = {
  async SentencePiece() {
    const tokenizer = await models.XLMRobertaTokenizer.fromPreset(TINY);
    const preprocessor = new models.XLMRobertaTextClassifierPreprocessor({ tokenizer, sequenceLength: 12 });
    return await models.XLMRobertaTextClassifier.fromPreset(fixture("kerashub/xlm_roberta_tiny_classifier"), { preprocessor });
  },
  WordPiece() {
    const tokenizer = wordPiece();
    const backbone = new models.BertBackbone({ ...SIZES, vocabularySize: tokenizer.vocabularySize });
    const preprocessor = new models.BertTextClassifierPreprocessor({ tokenizer, sequenceLength: 24 });
    return spread(new models.BertTextClassifier({ backbone, preprocessor, numClasses: 3 }));
  },
};

/** Whole numbers by input. */
export type Batch = Readonly<Record<string, readonly (readonly number[])[]>>;

/** Runs an exported model by itself: the inputs that it has, among those given; `logits` [batch, …]. */
export async function runExported(
  folder: string,
  batch: Batch,
  file = "model.onnx",
): Promise<{ inputs: readonly string[]; shape: readonly number[]; logits: Float32Array }> {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  const models = join(folder, "onnx");
  const { "transformers.js_config": settings = {} } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const beside = Array.from({ length: settings.use_external_data_format?.[file] ?? 0 }, (_, i) => `${file}_data${i === 0 ? "" : `_${i}`}`);
  const session = await ort.InferenceSession.create(readFileSync(join(models, file)), {
    executionProviders: ["wasm"],
    externalData: beside.map((path) => ({ path, data: new Uint8Array(readFileSync(join(models, path))) })),
  });
  try {
    const feeds = session.inputNames.map((name) => {
      const rows = batch[name];
      return [name, new ort.Tensor("int64", BigInt64Array.from(rows.flat().map(BigInt)), [rows.length, rows[0].length])] as const;
    });
    const { logits } = await session.run(Object.fromEntries(feeds));
    return { inputs: session.inputNames, shape: logits.dims, logits: logits.data as Float32Array };
  } finally {
    await session.release();
  }
}

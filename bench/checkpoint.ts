/** Checkpoints to fill masks with: random weights and a large vocabulary in Hugging Face's format, and PyTorch's ONNX export of them. */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { models } from "../mod.ts";
import { PEERS } from "./contestants.ts";
import type { ModelShape, Workload } from "./workload.ts";

/** Where checkpoints are kept between runs; git ignores it. */
const CACHE = fileURLToPath(new URL("./.cache/", import.meta.url));
const SMALL_VOCABULARY = fileURLToPath(new URL("../examples/data/udhr-8k.spm", import.meta.url));

/** A text to take words from; its mask is near the start. */
const WORDS =
  ("Everyone has the <mask> to work, to free choice of employment, to just and favourable conditions of work and to protection " +
    "against unemployment. Everyone, without any discrimination, has the right to equal pay for equal work. Everyone who works has the right " +
    "to just and favourable remuneration ensuring for himself and his family an existence worthy of human dignity, and supplemented, if " +
    "necessary, by other means of social protection. Everyone has the right to form and to join trade unions for the protection of his " +
    "interests. Everyone has the right to rest and leisure, including reasonable limitation of working hours and periodic holidays with pay.")
    .split(" ");

/** The small SentencePiece model with pieces added that no text has, up to `size` tokens: more `pieces` at a message's end are appended. */
function vocabularyOf(size: number): Uint8Array<ArrayBuffer> {
  const small = new Uint8Array(readFileSync(SMALL_VOCABULARY));
  const has = new models.XLMRobertaTokenizer({ proto: small }).vocabularySize;
  const writer = new BinaryWriter();
  for (let i = has; i < size; i++) {
    const piece = new BinaryWriter();
    piece.tag(1, WireType.LengthDelimited).string(`▁\u{1f52c}${i}`);
    piece.tag(2, WireType.Bit32).float(-20);
    writer.tag(1, WireType.LengthDelimited).bytes(piece.finish());
  }
  const more = writer.finish();
  const whole = new Uint8Array(small.length + more.length);
  whole.set(small);
  whole.set(more, small.length);
  return whole;
}

/** What transformers.js reads, by what it holds the weights in, and the program that makes it. */
const EXPORTS = {
  float32: { file: "model.onnx", program: "export_onnx.py" },
  int8: { file: "model_quantized.onnx", program: "quantize_onnx.py" },
} as const;

/** Makes a checkpoint unless it is there; gives its folder. */
async function ensureCheckpoint(shape: ModelShape, log: (line: string) => void): Promise<string> {
  const name = `${shape.numLayers}x${shape.hiddenDim}-${shape.vocabularySize}`;
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  log(`making the checkpoint ${name}`);
  mkdirSync(CACHE, { recursive: true });
  const tokenizer = new models.XLMRobertaTokenizer({ proto: vocabularyOf(shape.vocabularySize) });
  const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: shape.maxSequenceLength });
  const backbone = new models.XLMRobertaBackbone(shape);
  const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor });
  await maskedLM.saveToHuggingFace(folder);
  await maskedLM.dispose();
  await backbone.dispose();
  return folder;
}

/** Has a Python export a checkpoint, unless that is done; without one transformers.js has no model. */
function ensureExport(folder: string, weights: keyof typeof EXPORTS, log: (line: string) => void): void {
  const { file, program } = EXPORTS[weights];
  const wanted = join(folder, "onnx", file);
  if (existsSync(wanted)) return;
  const python = process.env.PEERS_PYTHON;
  if (!python) return log("PEERS_PYTHON is not set: without PyTorch's export transformers.js has no model");
  log(`exporting ${folder} with ${program}`);
  const half = join(folder, "half.onnx");
  const { status } = spawnSync(python, [join(PEERS, program), folder, half], { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) return log("that failed: transformers.js has no model");
  mkdirSync(join(folder, "onnx"), { recursive: true });
  renameSync(half, wanted);
}

/** A text of exactly as many tokens, start and end included. */
function textOf(tokenizer: models.XLMRobertaTokenizer, tokens: number): string {
  const count = (text: string): number =>
    text.split("<mask>").reduce((sum, part) => sum + tokenizer.tokenize(part.trim()).length, 0) + (text.includes("<mask>") ? 1 : 0) + 2;
  let text = "";
  for (let i = 0;; i++) {
    const next = `${text} ${WORDS[i % WORDS.length]}`.trim();
    // Later rounds through the words bring no second mask.
    if (i >= WORDS.length && WORDS[i % WORDS.length] === "<mask>") continue;
    if (count(next) > tokens) break;
    text = next;
  }
  while (count(text) < tokens) text += " to";
  return text;
}

/** Fills in the checkpoint and the text of a workload that fills masks. */
export async function withCheckpoint(workload: Workload, log: (line: string) => void): Promise<Workload> {
  const checkpoint = await ensureCheckpoint(workload.shape, log);
  ensureExport(checkpoint, "float32", log);
  if (workload.weights === "int8") ensureExport(checkpoint, "int8", log);
  const tokenizer = await models.XLMRobertaTokenizer.fromPreset(checkpoint);
  return { ...workload, checkpoint, text: textOf(tokenizer, workload.sequence) };
}

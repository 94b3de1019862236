/** Runs the command line inside the test's own process, and keeps what it prints. */

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../cli/main.ts";

/** What one run gave. */
export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs `cli.ts` with these arguments. */
export function runCli(...args: string[]): Promise<CliResult> {
  return runCliOn(null, ...args);
}

/** Runs `cli.ts` with lines on its standard input; null is a terminal that nobody types at. */
export async function runCliOn(lines: readonly string[] | null, ...args: string[]): Promise<CliResult> {
  const out: string[] = [];
  const error: string[] = [];
  const input = lines && (async function* () {
    yield* lines;
  })();
  const code = await main(args, { out: (line) => out.push(line), error: (line) => error.push(line), input });
  return { code, out: out.join("\n"), error: error.join("\n") };
}

/** A fresh directory. */
export function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "onnxhub-cli-"));
}

/** Writes a spec into a fresh directory and gives the file's path. */
export async function specFile(spec: unknown): Promise<string> {
  const path = join(await temporaryDirectory(), "spec.json");
  await writeFile(path, typeof spec === "string" ? spec : JSON.stringify(spec));
  return path;
}

/** A small model of its own: embedding, `num_layers` dense blocks, norm; one task. */
export const TINY = {
  name: "tiny",
  config: {
    vocabulary_size: "int",
    hidden_dim: { type: "int", default: 8 },
    num_layers: { type: "int", default: 3 },
    dropout: { type: "float", default: 0, min: 0, max: 1 },
    activation: { type: "string", default: "relu", choices: ["relu", "tanh"] },
    biased: { type: "bool", default: true },
    cap: { type: "float", default: null, nullable: true },
  },
  inputs: { token_ids: { dtype: "int32", shape: ["batch", "sequence"], min: 0, max: "{{ vocabulary_size - 1 }}" } },
  limits: { sequence: 32 },
  blocks: {
    mixer: {
      inputs: ["x"],
      layers: [
        { layer: "dense", name: "dense", units: "{{ hidden_dim }}", use_bias: "{{ biased }}" },
        { layer: "activation", name: "activation", function: "{{ activation }}" },
        { layer: "dropout", name: "dropout", rate: "{{ dropout }}" },
        { layer: "add", name: "residual", in: ["previous", "x"] },
      ],
    },
  },
  backbone: {
    layers: [
      { layer: "embedding", name: "embedding", in: "token_ids", vocabulary_size: "{{ vocabulary_size }}", dim: "{{ hidden_dim }}" },
      { repeat: "{{ num_layers }}", as: "i", block: "mixer", name: "layer_{{ i }}" },
      { layer: "norm", name: "final_norm", epsilon: 1e-5 },
    ],
  },
  heads: {
    text_classifier: {
      config: { num_classes: { type: "int", min: 1 } },
      layers: [
        { layer: "pool", name: "pool", kind: "mean" },
        { layer: "dense", name: "logits", units: "{{ num_classes }}" },
      ],
      outputs: { logits: "logits" },
      labels: { dtype: "int32", shape: ["batch"], min: 0, max: "{{ num_classes - 1 }}" },
      compile: {
        loss: { name: "SparseCategoricalCrossentropy", config: { from_logits: true } },
        optimizer: { name: "Adam", config: { learning_rate: 0.01 } },
        metrics: [{ name: "SparseCategoricalAccuracy" }],
      },
    },
  },
};

/** The tiny model with one part of its JSON replaced; a path is keys with dots. */
export function tinyWith(path: string, value: unknown): unknown {
  const spec = structuredClone(TINY) as unknown;
  const keys = path.split(".");
  let at = spec as Record<string, unknown>;
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[keys.at(-1)!] = value;
  return spec;
}

/** What the tests of specs share: a small spec, and an assertion on errors. */

import assert from "node:assert/strict";
import { OnnxHubError } from "../../errors.ts";

/** JSON that tests take apart. */
// deno-lint-ignore no-explicit-any
export type Loose = any;

/** A small but whole spec; a fresh copy each time. */
export function tinySpec(): Loose {
  return structuredClone({
    name: "tiny",
    config: {
      vocabulary_size: "int",
      width: { type: "int", default: 8, min: 1 },
      num_layers: { type: "int", default: 2, min: 0 },
      dropout: { type: "float", default: 0.1, min: 0, max: 1 },
      activation: { type: "string", default: "gelu", choices: ["gelu", "relu"] },
    },
    let: { inner: "{{ width * 2 }}" },
    inputs: { token_ids: { dtype: "int32", shape: ["batch", "sequence"], min: 0, max: "{{ vocabulary_size - 1 }}" } },
    limits: { sequence: 16 },
    blocks: {
      feedforward: {
        inputs: ["x"],
        parameters: { inner: "{{ inner }}" },
        layers: [
          { layer: "norm", name: "norm" },
          { layer: "dense", name: "up", units: "{{ inner }}" },
          { layer: "activation", name: "act", function: "{{ activation }}" },
          { layer: "dense", name: "down", units: "{{ width }}" },
          { layer: "add", name: "sum", in: ["previous", "x"] },
        ],
      },
    },
    backbone: {
      layers: [
        { layer: "embedding", name: "tokens", in: "token_ids", vocabulary_size: "{{ vocabulary_size }}", dim: "{{ width }}" },
        { layer: "dropout", name: "drop", rate: "{{ dropout }}" },
        { repeat: "{{ num_layers }}", as: "i", block: "feedforward", name: "layer_{{ i }}" },
      ],
      outputs: { sequence_output: "previous" },
    },
    heads: {
      tagger: {
        config: { num_tags: { type: "int", min: 1 } },
        layers: [{ layer: "dense", name: "logits", in: "sequence_output", units: "{{ num_tags }}" }],
        outputs: { logits: "logits" },
        labels: { dtype: "int32", shape: ["batch", "sequence"], min: 0, max: "{{ num_tags - 1 }}" },
        compile: {
          loss: { name: "SparseCategoricalCrossentropy", config: { from_logits: true } },
          optimizer: { name: "Adam", config: { learning_rate: 1e-3 } },
        },
      },
    },
  });
}

/** What an error must say. */
export interface Expectation {
  readonly code: string;
  /** A part of its path. */
  readonly path?: string;
  /** Parts of its message. */
  readonly says?: readonly string[];
}

/** Asserts that `action` throws the project's error, with that code, at that place. */
export function throwsError(action: () => unknown, { code, path, says = [] }: Expectation): void {
  let error: unknown;
  try {
    action();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof OnnxHubError, `expected an OnnxHubError, got ${error}`);
  assert.equal(error.code, code, error.message);
  if (path !== undefined) assert.ok(error.path?.includes(path), `the path is ${error.path}, without ${path}`);
  for (const part of says) assert.ok(error.message.includes(part), `the message lacks "${part}": ${error.message}`);
}

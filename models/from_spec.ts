/** Models of any spec: built-in, from a file, derived from another. */

import { OnnxHubError } from "../errors.ts";
import { load, type Spec } from "../spec/index.ts";
import type { ConfigValue } from "../spec/types.ts";
import { Backbone, type BackboneOptions } from "./backbone.ts";
import { CausalLM } from "./causal_lm.ts";
import { MaskedLM } from "./masked_lm.ts";
import { camelCase } from "../spec/naming.ts";
import {
  CausalLMPreprocessor,
  MaskedLMPreprocessor,
  type MaskedLMPreprocessorOptions,
  type Preprocessor,
  TextClassifierPreprocessor,
} from "./preprocessor.ts";
import type { Task } from "./task.ts";
import { TextClassifier } from "./text_classifier.ts";
import { Tokenizer, type TokenizerOptions } from "./tokenizer.ts";

/** What a model of a spec is made with. */
export interface FromSpecOptions<T extends TaskName | undefined = TaskName | undefined> extends BackboneOptions {
  /** The head: "masked_lm", "text_classifier", "causal_lm"; without it a backbone is made. */
  task?: T;
  /** The spec's hyperparameters, by their names in the spec. */
  config?: Readonly<Record<string, ConfigValue>>;
  /** The head's hyperparameters, by their names in the spec. */
  taskConfig?: Readonly<Record<string, ConfigValue>>;
  /** The tokenizer, or what it is made from. */
  tokenizer?: Tokenizer | TokenizerOptions;
  /** A preprocessor, or options for the task's own (which needs `tokenizer`); null for none. */
  preprocessor?: Preprocessor | Omit<MaskedLMPreprocessorOptions, "tokenizer"> | null;
  /** Whether the task is compiled with what its spec says; default true. */
  compile?: boolean;
}

/** The tasks that there are classes for. */
export interface TaskClasses {
  masked_lm: MaskedLM;
  text_classifier: TextClassifier;
  causal_lm: CausalLM;
}

/** The name of such a task. */
export type TaskName = keyof TaskClasses;

type Maker = { task: (options: never) => Task; preprocessor: (options: never) => Preprocessor };

const makers: Readonly<Record<TaskName, Maker>> = {
  masked_lm: { task: (options) => new MaskedLM(options), preprocessor: (options) => new MaskedLMPreprocessor(options) },
  text_classifier: { task: (options) => new TextClassifier(options), preprocessor: (options) => new TextClassifierPreprocessor(options) },
  causal_lm: { task: (options) => new CausalLM(options), preprocessor: (options) => new CausalLMPreprocessor(options) },
};

/**
 * A model of a spec: a built-in name, a path, an object, or what `spec.load` and `spec.derive` gave. With a task the task's class,
 * without one a backbone.
 *
 * @example
 * ```ts
 * import { models } from "onnxhub";
 * const model = await models.fromSpec("xlm_roberta", {
 *   task: "masked_lm",
 *   config: { vocabulary_size: 8002, num_layers: 2, num_heads: 2, hidden_dim: 32, intermediate_dim: 64, max_sequence_length: 32 },
 *   tokenizer: { proto: "examples/data/udhr-8k.spm" },
 *   preprocessor: { sequenceLength: 32, maskSelectionLength: 8 },
 * });
 * console.log(model.countParams());
 * await model.dispose();
 * ```
 */
export async function fromSpec<T extends TaskName | undefined = undefined>(
  source: string | URL | Spec | object,
  options: FromSpecOptions<T> = {},
): Promise<T extends TaskName ? TaskClasses[T] : Backbone> {
  const { task, config = {}, taskConfig = {}, tokenizer, preprocessor, compile, ...run } = options;
  const spec = isSpec(source) ? source : await load(source);
  const camel = (values: Readonly<Record<string, ConfigValue>>) =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [camelCase(key), value]));
  const backbone = new Backbone(spec, { ...camel(config), ...run });
  if (task === undefined) return backbone as never;
  const maker = makers[task as TaskName];
  if (!maker) {
    throw new OnnxHubError("model/task", "There is no class for this task", {
      path: "task",
      expected: Object.keys(makers).join(", "),
      found: String(task),
    });
  }
  if (preprocessor && tokenizer === undefined && !("tokenizer" in preprocessor)) {
    throw new OnnxHubError("model/no-tokenizer", "A preprocessor needs a tokenizer", {
      path: "fromSpec.tokenizer",
      expected: "a tokenizer, or what it is made from",
      found: "nothing",
    });
  }
  const holder = tokenizer === undefined || tokenizer instanceof Tokenizer ? tokenizer : new Tokenizer(spec, tokenizer);
  const made = preprocessor && "tokenizer" in preprocessor
    ? preprocessor
    : holder && preprocessor !== null
    ? maker.preprocessor({ seed: run.seed, ...preprocessor, tokenizer: holder } as never)
    : null;
  return maker.task({ ...camel(taskConfig), backbone, preprocessor: made, compile } as never) as never;
}

function isSpec(value: unknown): value is Spec {
  return typeof value === "object" && value !== null && "source" in value && "file" in value;
}

/** Backbones: the core architecture of a model, without a task's head. */

import type { WeightInfo } from "../codegen/program.ts";
import { lowerModel } from "../codegen/lowering/model.ts";
import { OnnxHubError } from "../errors.ts";
import { Parameters } from "../runtime/parameters.ts";
import type { Tensor, TensorLike } from "../runtime/tensor.ts";
import { type BuiltInPreset, presetsOf } from "../presets/registry.ts";
import { expand, type Spec } from "../spec/index.ts";
import type { ConfigValue } from "../spec/types.ts";
import { type HuggingFaceSaveOptions, saveBackboneToHuggingFace } from "./huggingface_saving.ts";
import { Model, type RunOptions } from "./model.ts";
import { camelCase } from "../spec/naming.ts";
import { configFrom, snakeName } from "./options.ts";
import { type BackboneLoadOptions, loadBackbone, type PresetClass, saveBackbone, type SaveOptions } from "./presets.ts";
import { loadBackboneWeights, saveBackboneWeights } from "./weight_files.ts";
import { backboneSummary, type SummaryOptions } from "./summary.ts";

/** What every backbone takes beside its architecture's own hyperparameters. */
export interface BackboneOptions extends RunOptions {
  /** Default Keras' automatic name: `xlm_roberta_backbone`. */
  name?: string;
  /** Whether training changes it; default true. */
  trainable?: boolean;
}

/** The options that are not hyperparameters. */
export const BACKBONE_OPTIONS: readonly string[] = ["name", "trainable", "backend", "threads", "seed"];

/** A backbone's class, as `fromPreset` is called on it. */
export interface BackboneClass<B extends Backbone> {
  // The options of the generated classes differ; that they fit their own spec is checked when they run.
  // deno-lint-ignore no-explicit-any
  new (options: any): B;
  readonly architecture: string | null;
}

/**
 * A backbone: inputs in, hidden states out. Source: keras_hub.models.Backbone.
 *
 * The classes of KerasHub's names (`models.XLMRobertaBackbone`) have typed constructors; this class takes any spec.
 *
 * @example
 * ```ts
 * import { models } from "onnxhub";
 * const backbone = new models.XLMRobertaBackbone({
 *   vocabularySize: 100, numLayers: 2, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 8,
 * });
 * const output = await backbone.predict({ token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]] });
 * console.log(output.sequence_output.shape); // [1, 4, 16]
 * await backbone.dispose();
 * ```
 */
export class Backbone extends Model {
  /** The spec's name in the generated classes; null in those that take any spec. */
  static readonly architecture: string | null = null;

  /** The spec that it was made from. */
  readonly spec: Spec;
  /** Its hyperparameters, under their names in the spec. */
  readonly config: Readonly<Record<string, ConfigValue>>;
  /** Whether training changes it. Takes effect when a task that holds it is compiled, or first trained after that. */
  trainable: boolean;
  readonly #weights: readonly WeightInfo[];

  /** Makes a backbone of a spec with fresh weights; `config` in camelCase among the options. */
  constructor(spec: Spec, options: BackboneOptions & object) {
    const config = configFrom(`the backbone of ${spec.source.name}`, options, Object.keys(spec.source.config), BACKBONE_OPTIONS);
    const expanded = expand(spec, { config });
    super(
      options.name ?? snakeName(expanded.checkpoints.kerashub?.backbone.class_name ?? `${spec.source.name}_backbone`),
      expanded,
      new Parameters(options.seed ?? 0),
      options,
    );
    this.spec = spec;
    this.config = Object.fromEntries(Object.entries(expanded.config).map(([key, { value }]) => [key, value]));
    this.trainable = options.trainable ?? true;
    this.#weights = lowerModel(expanded, { training: false }).weights.list();
    this.parameters.ensure(this.#weights);
  }

  /** All weights, in KerasHub's order. */
  get weights(): readonly WeightInfo[] {
    return this.#weights;
  }

  /** The weights that training changes: none of a frozen backbone. */
  get trainableWeights(): readonly WeightInfo[] {
    return this.trainable ? this.#weights.filter(({ trainable }) => trainable) : [];
  }

  /** The outputs for one batch of inputs, by name; dropout off. */
  async predict(x: Readonly<Record<string, TensorLike>>): Promise<Record<string, Tensor>> {
    return (await this.infer(x)).outputs;
  }

  /** KerasHub's configuration of the backbone, in snake_case: what `fromConfig` takes. */
  getConfig(): Record<string, ConfigValue> {
    return { name: this.name, trainable: this.trainable, ...this.config };
  }

  /** Makes a backbone of the same class from what `getConfig` gave. */
  static fromConfig<B extends Backbone>(this: BackboneClass<B>, config: Readonly<Record<string, ConfigValue>>): B {
    if (this.architecture === null) {
      throw new OnnxHubError("model/abstract", "A configuration says nothing of its architecture", {
        remedy: "Call `fromConfig` on the class of an architecture.",
      });
    }
    return new this(Object.fromEntries(Object.entries(config).map(([key, value]) => [camelCase(key), value])));
  }

  /** The built-in presets for this class, by name: of its architecture, or of all. */
  static get presets(): Readonly<Record<string, BuiltInPreset>> {
    return presetsOf(this.architecture);
  }

  /**
   * A backbone from a preset: a local directory in KerasHub's format, or a checkpoint of Hugging Face transformers.
   *
   * On `Backbone` itself the class follows from the preset. Hyperparameters in camelCase override the preset's.
   */
  static async fromPreset<B extends Backbone, A extends string | null>(
    this: PresetClass<B> & { readonly architecture: A },
    preset: string,
    options?: BackboneLoadOptions<NoInfer<A>>,
  ): Promise<B> {
    return await loadBackbone(this.architecture, preset, options ?? {}) as B;
  }

  /** Writes a preset directory that KerasHub loads. A killed save leaves the old directory or the new one, never a broken one. */
  async saveToPreset(directory: string, options: SaveOptions = {}): Promise<void> {
    await this.sync();
    await saveBackbone(this, directory, options);
  }

  /**
   * Writes the weights to a file, whole or not at all. A path that ends in `.weights.h5` gives Keras' file, which KerasHub reads; `.safetensors` gives the
   * weights under their own paths.
   *
   * Throws "preset/weights-unmapped" or "preset/weights-missing" for a `.weights.h5` of a variant whose weights KerasHub's layout has no place for: a
   * `.safetensors` file holds any model's.
   */
  async saveWeights(path: string): Promise<void> {
    await this.sync();
    return saveBackboneWeights(this, path);
  }

  /**
   * Reads what {@linkcode saveWeights} or Keras' `save_weights` wrote, by the path's suffix; all weights or, where a name, shape or type is wrong, none.
   */
  // deno-lint-ignore require-await -- a promise that rejects, not a throw
  async loadWeights(path: string): Promise<void> {
    this.assertAlive();
    return loadBackboneWeights(this, path);
  }

  /**
   * Writes a checkpoint that transformers loads: `config.json` and weights as safetensors, in float32 or rounded to float16, in as many files as
   * `maxShardSize` asks for. A killed save leaves the old directory or the new one.
   *
   * Throws "preset/inexpressible" with the hyperparameter that transformers cannot express, and "preset/no-format" for a spec without its names.
   */
  async saveToHuggingFace(directory: string, options: HuggingFaceSaveOptions = {}): Promise<void> {
    await this.sync();
    await saveBackboneToHuggingFace(this, directory, options);
  }

  /** Keras' summary, as text; also printed unless `print` is false. */
  summary(options: SummaryOptions = {}): string {
    return backboneSummary(this, options);
  }
}

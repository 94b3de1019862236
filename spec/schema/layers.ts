/** The table of primitive layers: their inputs, their options with defaults, whether they own weights. */

import type { LayerName } from "../types.ts";
import type { Json } from "../source.ts";
import type { Schema } from "./dispatch.ts";
import type { Values } from "./values.ts";

/** One option of a layer. */
export interface LayerOption {
  /** The schema of its value, given the kinds of values. */
  readonly schema: (values: Values) => Schema;
  /** What it is when not given; undefined: it must be, unless `optional`. */
  readonly default?: Json;
  /** May be absent, and stay absent. */
  readonly optional?: true;
}

/** One primitive layer. */
export interface LayerDefinition {
  /** Input names, the main one first, optional ones with "?"; null: a list of two or more values. */
  readonly inputs: readonly string[] | null;
  /** Whether it owns weights, and so needs a name. */
  readonly weights: boolean;
  readonly options: Readonly<Record<string, LayerOption>>;
}

const GLOROT = "glorot_uniform";

/** All primitive layers; see `ExpandedLayer` for what each computes. */
export const layerTable: { readonly [K in LayerName]: LayerDefinition } = {
  embedding: {
    inputs: ["ids"],
    weights: true,
    options: {
      vocabulary_size: { schema: (v) => v.size },
      dim: { schema: (v) => v.size },
      initializer: { schema: (v) => v.initializer, default: { type: "random_uniform", minval: -0.05, maxval: 0.05 } },
      table: { schema: (v) => v.weight, optional: true },
    },
  },
  dense: {
    inputs: ["x"],
    weights: true,
    options: {
      units: { schema: (v) => v.units },
      contract: { schema: (v) => v.size, default: 1 },
      use_bias: { schema: (v) => v.bool, default: true },
      kernel_initializer: { schema: (v) => v.initializer, default: GLOROT },
      bias_initializer: { schema: (v) => v.initializer, default: "zeros" },
      kernel: { schema: (v) => v.weight, optional: true },
      bias: { schema: (v) => v.weight, optional: true },
    },
  },
  norm: {
    inputs: ["x"],
    weights: true,
    options: {
      kind: { schema: (v) => v.choice("layer", "rms"), default: "layer" },
      epsilon: { schema: (v) => v.positive, default: 1e-3 },
      scale: { schema: (v) => v.bool, default: true },
      offset: { schema: (v) => v.bool, default: true },
    },
  },
  attention: {
    inputs: ["query", "key", "value", "mask?", "positions?"],
    weights: false,
    options: {
      causal: { schema: (v) => v.bool, default: false },
      scale: { schema: (v) => v.nullable(v.positive), default: null },
      dropout: { schema: (v) => v.rate, default: 0 },
      logit_soft_cap: { schema: (v) => v.nullable(v.positive), default: null },
    },
  },
  rotary: {
    inputs: ["x", "positions"],
    weights: false,
    options: {
      max_wavelength: { schema: (v) => v.positive, default: 10000 },
      scaling_factor: { schema: (v) => v.positive, default: 1 },
      frequency_adjustment: { schema: (v) => v.nullable(v.frequencies), default: null },
    },
  },
  activation: { inputs: ["x"], weights: false, options: { function: { schema: (v) => v.activation } } },
  dropout: { inputs: ["x"], weights: false, options: { rate: { schema: (v) => v.rate } } },
  add: { inputs: null, weights: false, options: {} },
  multiply: { inputs: null, weights: false, options: {} },
  scale: { inputs: ["x"], weights: false, options: { factor: { schema: (v) => v.number } } },
  gather: { inputs: ["x", "indices"], weights: false, options: {} },
  take: { inputs: ["x"], weights: false, options: { axis: { schema: (v) => v.int }, index: { schema: (v) => v.int } } },
  pool: { inputs: ["x", "mask?"], weights: false, options: { kind: { schema: (v) => v.choice("mean", "max"), default: "mean" } } },
  reshape: { inputs: ["x"], weights: false, options: { shape: { schema: (v) => v.shape } } },
  transpose: { inputs: ["x"], weights: false, options: { perm: { schema: (v) => v.ints } } },
  concat: { inputs: null, weights: false, options: { axis: { schema: (v) => v.int } } },
  slice: {
    inputs: ["x"],
    weights: false,
    options: {
      axis: { schema: (v) => v.int },
      start: { schema: (v) => v.int, default: 0 },
      end: { schema: (v) => v.nullable(v.int), default: null },
    },
  },
};

/** Keys that every entry of a list of layers can have beside its options. */
export const entryKeys = ["when", "repeat", "as"] as const;

/** Keys that layers and instances can have beside their options. */
export const nodeKeys = [...entryKeys, "name", "weights", "out", "in"] as const;

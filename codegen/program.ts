/** The compiler's result: stages (ONNX graphs) with named, typed bindings. */

import type { Initializer } from "../spec/types.ts";
import type { DType, Shape } from "./ir/types.ts";

/** A weight of the model, in KerasHub's order. */
export interface WeightInfo {
  /** `transformer_layer_0/self_attention_layer/query/kernel`. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  readonly part: "backbone" | "head";
  /** Whether the spec lets it be trained at all. */
  readonly trainable: boolean;
}

/** A tensor that goes into or comes out of a stage. */
export interface StageTensor {
  /** Unique within the program: what it is called where stages are put together. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Its name in the stage's graph where that is another one: stages that share a graph share its names. */
  readonly tensor?: string;
}

/** What a stage's input is fed with. */
export type ProgramInput =
  & StageTensor
  & (
    | { readonly role: "weight"; readonly weight: string }
    | {
      readonly role: "data";
      readonly fill: "required" | "ones" | "zeros" | "positions";
      readonly min: number | null;
      readonly max: number | null;
      readonly below: string | null;
    }
    | { readonly role: "label"; readonly min: number | null; readonly max: number | null; readonly ignored: number | null }
    | { readonly role: "sample_weight" }
    /** 1 / (1 - rate) keeps, 0 drops; float32. `site` tells the masks of a program apart. */
    | { readonly role: "dropout"; readonly site: number; readonly rate: number }
    /** A scalar that the trainer sets; the gradients are multiplied by it. */
    | { readonly role: "loss_scale" }
    /** The rows of a weight at the indices that a data input holds. */
    | { readonly role: "rows"; readonly weight: string; readonly indices: string }
    /** What an earlier stage gave. */
    | { readonly role: "stash" }
  );

/** What a stage's output is. */
export type ProgramOutput =
  & StageTensor
  & (
    | { readonly role: "output" }
    | { readonly role: "loss" }
    /** One of the two sums (`total`, `count`) that a metric is the quotient of. */
    | { readonly role: "metric"; readonly metric: string; readonly part: "total" | "count" }
    | { readonly role: "gradient"; readonly weight: string }
    /** Part of a weight's gradient: what is added to the rows at the indices that a data input holds. */
    | { readonly role: "gradient_rows"; readonly weight: string; readonly indices: string }
    /** Part of a weight's gradient, leftᵀ · right: left [n, rows] or right [n, columns], n in one axis or in several. */
    | { readonly role: "gradient_factor"; readonly weight: string; readonly side: "left" | "right" }
    /** For a later stage. */
    | { readonly role: "stash" }
  );

/** One ONNX graph of a program. */
export interface Stage {
  readonly name: string;
  /** The encoded ModelProto; stages that do the same with other weights (a repeated block's) have the same array. */
  readonly model: Uint8Array<ArrayBuffer>;
  readonly inputs: readonly ProgramInput[];
  readonly outputs: readonly ProgramOutput[];
}

/**
 * What can be run: stages in order, each fed with the program's inputs and what earlier stages stashed. A program of one stage is one
 * graph.
 */
export interface Program {
  readonly mode: "train" | "test" | "infer";
  /** What it is fed with, whichever stage reads it; rows are looked up by inputs that no stage may read. */
  readonly inputs: readonly ProgramInput[];
  readonly stages: readonly Stage[];
  /** All weights of the model, in order, whether a stage takes them or not. */
  readonly weights: readonly WeightInfo[];
  /** The greatest size of a symbolic dimension. */
  readonly limits: Readonly<Record<string, number>>;
}

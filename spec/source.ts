/** The types of the model language as people write it: a spec's JSON, expressions not yet evaluated. */

import type { ActivationName, ConfigValue, LayerName } from "./types.ts";

/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A string that is one `{{ expression }}` in place of a value, or, for a string, a template that contains some. */
export type Templated<T> = T | string;

/** A hyperparameter: its type alone (then it is required), or all that is known of it. */
export type SourceConfigEntry = "int" | "float" | "bool" | "string" | {
  readonly type: "int" | "float" | "bool" | "string";
  /** Without a default it must be given. */
  readonly default?: ConfigValue;
  readonly nullable?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly ConfigValue[];
  /** Default true: KerasHub's own config has it. */
  readonly kerashub?: boolean;
  readonly description?: string;
};

/** A named input. */
export interface SourceInput {
  readonly dtype: "int32" | "float32" | "bool";
  readonly shape: readonly Templated<number>[];
  /** Default "required". */
  readonly fill?: "required" | "ones" | "zeros" | "positions";
  readonly min?: Templated<number | null>;
  readonly max?: Templated<number | null>;
  /** A symbol that the values stay below. */
  readonly below?: string | null;
}

/** An initializer's Keras name, or the name with its numbers. */
export type SourceInitializer = string | { readonly type: string; readonly [option: string]: string | number };

/** An expression over weights; see `WeightExpression`. */
export type SourceWeightExpression =
  | { readonly ref: string }
  | { readonly transpose: SourceWeightExpression }
  | { readonly add: readonly SourceWeightExpression[] }
  | { readonly multiply: readonly (SourceWeightExpression | Templated<number>)[] }
  | { readonly matmul: readonly SourceWeightExpression[] };

/** A weight declared by itself. */
export interface SourceWeight {
  readonly name: string;
  readonly shape: Templated<readonly Templated<number>[]>;
  /** Default "glorot_uniform". */
  readonly initializer?: SourceInitializer;
  /** Default true. */
  readonly trainable?: Templated<boolean>;
  readonly when?: Templated<boolean>;
}

/** What every entry of a list of layers can have. */
interface SourceEntryCommon {
  /** Left out where this is false. */
  readonly when?: Templated<boolean>;
  /** A number of times, or the list of values that `as` takes in turn. */
  readonly repeat?: Templated<number | readonly ConfigValue[]>;
  /** The name of the count; default "i". */
  readonly as?: string;
}

/** A layer or a block instance: something with a name and a value. */
interface SourceNodeCommon extends SourceEntryCommon {
  /** Prefix of the weights. Layers without weights may go without: theirs is the layer's own name, numbered. */
  readonly name?: string;
  /** Where the weights are, when not under `name`. */
  readonly weights?: string;
  /** Another name for the value; may name a value anew. */
  readonly out?: string;
  /** Value names: one, a list, or by input. "previous" is the entry before. Default: previous for the first input. */
  readonly in?: string | readonly string[] | { readonly [input: string]: string };
}

/** A primitive layer; its own options beside what all have (spec/schema/layers.ts lists them). */
export interface SourceLayer extends SourceNodeCommon {
  readonly layer: LayerName;
  readonly function?: Templated<ActivationName>;
  readonly [option: string]: Json | undefined;
}

/** A block put in a place. */
export interface SourceInstance extends SourceNodeCommon {
  readonly block: string;
  /** Values for the block's parameters. */
  readonly with?: { readonly [parameter: string]: Json };
}

/** Several entries under one condition or repetition; their names stand in the list around it. */
export interface SourceGroup extends SourceEntryCommon {
  readonly layers: readonly SourceEntry[];
}

/** A value under another name: no layer, nothing computed. */
export interface SourceAlias {
  readonly when?: Templated<boolean>;
  readonly in: string;
  readonly out: string;
}

/** One entry of a list of layers. */
export type SourceEntry = SourceLayer | SourceInstance | SourceGroup | SourceAlias;

/** A list of layers with what it takes and gives. */
export interface SourcePart {
  /** Names for values that expressions below may use. */
  readonly let?: { readonly [name: string]: Json };
  readonly weights?: readonly SourceWeight[];
  readonly layers: readonly SourceEntry[];
  readonly weight_order?: readonly string[];
  /** Output name → value name; default: one, named "out", the last value. */
  readonly outputs?: { readonly [output: string]: string };
}

/** A definition that instances use. */
export interface SourceBlock extends SourcePart {
  readonly description?: string;
  /** Input names, the main one first. */
  readonly inputs: readonly string[];
  /** What `with` can set; null: required, else the default. */
  readonly parameters?: { readonly [parameter: string]: Json };
}

/** A loss, an optimizer or a metric by its Keras name. */
export interface SourceKerasObject {
  readonly name: string;
  /** Arguments; expressions see the head's configuration. */
  readonly config?: { readonly [argument: string]: ConfigValue };
}

/** A task: a head over the backbone's outputs. */
export interface SourceHead extends SourcePart {
  readonly config?: { readonly [name: string]: SourceConfigEntry };
  readonly inputs?: { readonly [name: string]: SourceInput };
  readonly labels: {
    readonly dtype: "int32" | "float32";
    readonly shape: readonly Templated<number>[];
    readonly min?: Templated<number | null>;
    readonly max?: Templated<number | null>;
  };
  readonly compile: {
    readonly loss: SourceKerasObject;
    readonly optimizer: SourceKerasObject;
    readonly metrics?: readonly SourceKerasObject[];
    readonly weighted_metrics?: readonly SourceKerasObject[];
  };
}

/** Which tokenizer. */
export interface SourceTokenizer {
  readonly type: "sentencepiece" | "wordpiece" | "bpe";
  readonly remap?: "none" | "fairseq" | "fairseq_unused";
  readonly special_tokens: {
    readonly start: string;
    readonly end: string;
    readonly pad: string;
    readonly mask?: string;
    readonly unknown: string;
  };
  readonly lowercase?: boolean;
  readonly separators?: number;
  readonly asset: string;
}

/** A class as KerasHub registers it. */
export interface SourceClass {
  readonly class_name: string;
  readonly module: string;
}

/** A group of KerasHub's HDF5 tree, or several under a repetition or condition. */
export type SourceKerasGroup =
  | (SourceEntryCommon & {
    readonly group: string;
    readonly name: string;
    readonly vars?: readonly string[];
    readonly legacy?: readonly string[];
  })
  | (SourceEntryCommon & { readonly groups: readonly SourceKerasGroup[] });

/** A Hugging Face tensor, or several under a repetition or condition. */
export type SourceHuggingFaceWeight =
  | (SourceEntryCommon & {
    readonly weight: string;
    readonly tensor: string;
    readonly aliases?: readonly string[];
    readonly transform?: "none" | "transpose";
    readonly skip_rows?: number;
    readonly add_row?: string;
    readonly add_row_aliases?: readonly string[];
    readonly optional?: boolean;
  })
  | (SourceEntryCommon & { readonly weights: readonly SourceHuggingFaceWeight[] });

/** The names that the weights bear in the files of others. */
export interface SourceCheckpoints {
  readonly kerashub?: {
    readonly backbone: SourceClass;
    readonly tokenizer?: SourceClass;
    readonly groups: readonly SourceKerasGroup[];
    /** By task: its class, and the groups of its head. */
    readonly tasks?: {
      readonly [task: string]: SourceClass & { readonly preprocessor?: SourceClass; readonly groups?: readonly SourceKerasGroup[] };
    };
    /** KerasHub's base classes of the tasks that it has for the backbone and there is no head for: metadata.json lists them too. */
    readonly other_tasks?: readonly string[];
  };
  readonly huggingface?: {
    readonly model_type: string;
    /** The class of the tokenizer in transformers. */
    readonly tokenizer_class?: string;
    /** Their config key → ours; "a.b" is the key b of their object a. */
    readonly config: { readonly [theirs: string]: string };
    /** Their config key → what is added to its number. */
    readonly config_offsets?: { readonly [theirs: string]: number };
    /** Their config key → their value → ours. A value that is not listed is an error. */
    readonly config_values?: { readonly [theirs: string]: { readonly [value: string]: ConfigValue } };
    /** By task: their config key → ours in the head's configuration. */
    readonly head_config?: { readonly [task: string]: { readonly [theirs: string]: string } };
    /** Their config key → what it means when it is absent or null, as in transformers; expressions over their other keys. */
    readonly config_defaults?: { readonly [theirs: string]: ConfigValue };
    /** Our config key → an expression over theirs, for what is no plain renaming. */
    readonly config_read?: { readonly [ours: string]: string };
    /** Their config key → expressions over ours: what is written beside, or in place of, the renamed ones. Null: left out. */
    readonly config_written?: { readonly [theirs: string]: ConfigValue };
    /** Their config key → the values that the spec can express, expressions over theirs among them; others are refused. */
    readonly requires?: { readonly [theirs: string]: readonly ConfigValue[] };
    /** By task: the same for its head. */
    readonly head_requires?: { readonly [task: string]: { readonly [theirs: string]: readonly ConfigValue[] } };
    /** The classes of transformers that a configuration names. */
    readonly classes?: { readonly backbone: string; readonly tasks?: { readonly [task: string]: string } };
    /** What the names of the backbone's tensors begin with in a task's checkpoint, and not in a backbone's own ("roberta."). */
    readonly prefix?: string;
    /** Names of the backbone's and the heads' tensors that are left out without a word; `*` stands for anything. */
    readonly unused?: readonly string[];
    readonly weights: readonly SourceHuggingFaceWeight[];
    /** By task: the weights of its head. */
    readonly heads?: { readonly [task: string]: readonly SourceHuggingFaceWeight[] };
  };
}

/** A pretrained model that KerasHub publishes. */
export interface SourcePreset {
  readonly name: string;
  readonly handle: string;
  readonly parameters: number;
  readonly description: string;
}

/** A whole spec. */
export interface SpecSource {
  /** Ignored: the JSON Schema, for editors. */
  readonly $schema?: string;
  /** Snake case: the name that KerasHub's layers start with. */
  readonly name: string;
  readonly description?: string;
  readonly config: { readonly [name: string]: SourceConfigEntry };
  readonly let?: { readonly [name: string]: Json };
  readonly inputs: { readonly [name: string]: SourceInput };
  readonly limits?: { readonly [symbol: string]: Templated<number> };
  readonly blocks?: { readonly [name: string]: SourceBlock };
  readonly backbone: SourcePart;
  readonly heads?: { readonly [task: string]: SourceHead };
  readonly tokenizer?: SourceTokenizer | null;
  readonly checkpoints?: SourceCheckpoints;
  readonly presets?: readonly SourcePreset[];
}

/** A spec that was read and checked. Plain JSON. */
export interface Spec {
  /** Where it came from, for messages: a path, a built-in name, "<object>". */
  readonly file: string;
  readonly source: SpecSource;
}

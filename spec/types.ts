/** The types of the model language after `expand`: every expression evaluated, every default filled in. Still plain JSON. */

/** A value of a configuration. */
export type ConfigValue = number | string | boolean | null | readonly ConfigValue[];

/** An initializer by its Keras name. Variances and bounds as Keras computes them. */
export type Initializer =
  | { readonly type: "zeros" }
  | { readonly type: "ones" }
  | { readonly type: "constant"; readonly value: number }
  | { readonly type: "random_normal"; readonly mean: number; readonly stddev: number }
  | { readonly type: "random_uniform"; readonly minval: number; readonly maxval: number }
  | { readonly type: "truncated_normal"; readonly mean: number; readonly stddev: number }
  | { readonly type: "glorot_uniform" }
  | { readonly type: "glorot_normal" }
  | { readonly type: "he_uniform" }
  | { readonly type: "he_normal" }
  | { readonly type: "lecun_normal" };

/**
 * A weight, or an expression over weights. `ref` is a weight's full path ("embeddings/token_embedding/embeddings"), or, where it
 * starts with "./", a path relative to the enclosing block instance or part.
 */
export type WeightExpression =
  | { readonly ref: string }
  | { readonly transpose: WeightExpression }
  | { readonly add: readonly [WeightExpression, WeightExpression] }
  | { readonly multiply: readonly [WeightExpression, WeightExpression | number] }
  | { readonly matmul: readonly [WeightExpression, WeightExpression] };

/** A weight declared by itself (before the weights of the layers beside it): a bias listed first, LoRA's A and B. */
export interface ExpandedWeight {
  /** Relative to the scope that declares it. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  readonly trainable: boolean;
}

/** What every layer has beside its own options. */
interface LayerCommon {
  /** Unique in its scope; the layer's weights are `<scope>/<name>/<weight>`, unless `weights` names another place. */
  readonly name: string;
  /** The weights' path relative to the scope, when it is not `name`: the same path twice = shared weights. */
  readonly weights?: string;
}

/** Activation functions, by Keras' names; `gelu` is the exact (erf) one. */
export type ActivationName =
  | "linear"
  | "relu"
  | "gelu"
  | "gelu_approximate"
  | "quick_gelu"
  | "silu"
  | "tanh"
  | "sigmoid"
  | "softmax"
  | "softplus"
  | "exp";

/**
 * The primitive layers. Every `in` is the name of a value in scope: an input, an earlier node, or `node.output` for
 * one of several outputs. Names are resolved by `expand`: none is missing afterwards.
 */
export type ExpandedLayer =
  & LayerCommon
  & (
    /** ids int [...] → [..., dim]. Weight `embeddings` [vocabulary_size, dim], or `table`. */
    | {
      readonly layer: "embedding";
      readonly in: { readonly ids: string };
      readonly vocabulary_size: number;
      readonly dim: number;
      readonly initializer: Initializer;
      readonly table?: WeightExpression;
    }
    /**
     * x [..., I1…Ic] → [..., ...units], contracting the last `contract` axes. Weights `kernel` [I1…Ic, ...units] and
     * `bias` [...units]. `kernel` and `bias` expressions replace the own weights.
     */
    | {
      readonly layer: "dense";
      readonly in: { readonly x: string };
      readonly units: readonly number[];
      readonly contract: number;
      readonly use_bias: boolean;
      readonly kernel_initializer: Initializer;
      readonly bias_initializer: Initializer;
      readonly kernel?: WeightExpression;
      readonly bias?: WeightExpression;
    }
    /** Over the last axis. "layer": weights `gamma` (unless scale is false), `beta` (unless offset is false); "rms": weight `scale`. */
    | {
      readonly layer: "norm";
      readonly in: { readonly x: string };
      readonly kind: "layer" | "rms";
      readonly epsilon: number;
      readonly scale: boolean;
      readonly offset: boolean;
    }
    /**
     * Dot-product attention's core. query [batch, query, heads, dim], key and value [batch, key, groups, dim] (heads a
     * multiple of groups) → [batch, query, heads, dim]. mask [batch, key] or [batch, query, key], non-zero = attend. causal needs
     * `positions` [sequence]. Scores are multiplied by `scale` (null: 1/√dim), masked ones get -1e9, masked weights are zeroed as Keras
     * does. With dropout on the attention weights.
     */
    | {
      readonly layer: "attention";
      readonly in: {
        readonly query: string;
        readonly key: string;
        readonly value: string;
        readonly mask?: string;
        readonly positions?: string;
      };
      readonly causal: boolean;
      readonly scale: number | null;
      readonly dropout: number;
      readonly logit_soft_cap: number | null;
    }
    /** Rotary embedding (RoFormer), halves rotated as KerasHub does. x [batch, sequence, heads, dim], positions [sequence] or [batch, sequence]. */
    | {
      readonly layer: "rotary";
      readonly in: { readonly x: string; readonly positions: string };
      readonly max_wavelength: number;
      readonly scaling_factor: number;
      /** Llama 3.1's smoothing of long wavelengths; absent or null: none. */
      readonly frequency_adjustment?: {
        readonly factor: number;
        readonly low_freq_factor: number;
        readonly high_freq_factor: number;
        readonly pretraining_sequence_length: number;
      } | null;
    }
    | { readonly layer: "activation"; readonly in: { readonly x: string }; readonly function: ActivationName }
    | { readonly layer: "dropout"; readonly in: { readonly x: string }; readonly rate: number }
    /** Elementwise over two or more values that broadcast. */
    | { readonly layer: "add" | "multiply"; readonly in: readonly string[] }
    | { readonly layer: "scale"; readonly in: { readonly x: string }; readonly factor: number }
    /** x [batch, sequence, ...], indices [batch, n] → [batch, n, ...] (take_along_axis over axis 1). */
    | { readonly layer: "gather"; readonly in: { readonly x: string; readonly indices: string } }
    /** One index of an axis, which disappears: x[:, 0] is axis 1, index 0. */
    | { readonly layer: "take"; readonly in: { readonly x: string }; readonly axis: number; readonly index: number }
    /** Over axis 1, mask [batch, sequence] left out of the mean or maximum. */
    | { readonly layer: "pool"; readonly in: { readonly x: string; readonly mask?: string }; readonly kind: "mean" | "max" }
    /** Dimensions are numbers or symbols of the inputs. */
    | { readonly layer: "reshape"; readonly in: { readonly x: string }; readonly shape: readonly (number | string)[] }
    | { readonly layer: "transpose"; readonly in: { readonly x: string }; readonly perm: readonly number[] }
    | { readonly layer: "concat"; readonly in: readonly string[]; readonly axis: number }
    | {
      readonly layer: "slice";
      readonly in: { readonly x: string };
      readonly axis: number;
      readonly start: number;
      readonly end: number | null;
    }
  );

/** The name of a primitive layer. */
export type LayerName = ExpandedLayer["layer"];

/** A block put in a place: its name is the prefix of the weights inside, unless `weights` names another place (shared layers). */
export interface ExpandedInstance {
  readonly block: string;
  readonly name: string;
  readonly weights?: string;
  /** The block's inputs, by name, all of them. */
  readonly in: Readonly<Record<string, string>>;
}

/** One entry of a list of layers. */
export type ExpandedNode = ExpandedLayer | ExpandedInstance;

/** A block: one definition, used by any number of instances. May use other blocks; never itself. */
export interface ExpandedBlock {
  readonly inputs: readonly string[];
  readonly weights: readonly ExpandedWeight[];
  readonly layers: readonly ExpandedNode[];
  /** Prefixes of relative weight paths, in the order in which KerasHub lists the weights; unlisted ones follow as they come. */
  readonly weight_order: readonly string[];
  /** Output name → value. With one output, an instance's name is that value; with more, `instance.output`. */
  readonly outputs: Readonly<Record<string, string>>;
}

/** A named input of the model. */
export interface ExpandedInput {
  readonly dtype: "int32" | "float32" | "bool";
  /** Numbers and symbols: `["batch", "sequence"]`. */
  readonly shape: readonly (number | string)[];
  /** What is fed when the caller gives nothing: nothing (an error), ones, zeros, or 0, 1, 2, … along the last axis. */
  readonly fill: "required" | "ones" | "zeros" | "positions";
  /** Bounds on the values, inclusive; checked before anything runs. */
  readonly min: number | null;
  readonly max: number | null;
  /** A symbolic dimension that the values must stay below: positions in a sequence are below "sequence". */
  readonly below?: string | null;
}

/** A hyperparameter with its value. */
export interface ExpandedConfigEntry {
  readonly type: "int" | "float" | "bool" | "string";
  readonly nullable: boolean;
  readonly value: ConfigValue;
  readonly default?: ConfigValue;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly ConfigValue[];
  /** Whether KerasHub's own config has it; one that it lacks can be saved for KerasHub only at its default. */
  readonly kerashub: boolean;
  readonly description?: string;
}

/** A list of layers with what it takes and gives: a backbone or a head. */
export interface ExpandedPart {
  readonly weights: readonly ExpandedWeight[];
  readonly layers: readonly ExpandedNode[];
  /** As in a block. */
  readonly weight_order: readonly string[];
  readonly outputs: Readonly<Record<string, string>>;
}

/** The labels of a task. */
export interface ExpandedLabels {
  readonly dtype: "int32" | "float32";
  readonly shape: readonly (number | string)[];
  readonly min: number | null;
  readonly max: number | null;
}

/** A task's head over the backbone's outputs, and what `compile` uses unless told otherwise (Keras' names and arguments). */
export interface ExpandedHead extends ExpandedPart {
  readonly task: string;
  readonly config: Readonly<Record<string, ExpandedConfigEntry>>;
  /** Inputs beside the backbone's. */
  readonly inputs: Readonly<Record<string, ExpandedInput>>;
  readonly labels: ExpandedLabels;
  readonly compile: {
    readonly loss: { readonly name: string; readonly config: Readonly<Record<string, ConfigValue>> };
    readonly optimizer: { readonly name: string; readonly config: Readonly<Record<string, ConfigValue>> };
    /** Metrics that sample weights do not weigh. */
    readonly metrics: readonly { readonly name: string; readonly config: Readonly<Record<string, ConfigValue>> }[];
    readonly weighted_metrics: readonly { readonly name: string; readonly config: Readonly<Record<string, ConfigValue>> }[];
  };
}

/**
 * A spec with every expression evaluated for one configuration and (where a task was asked for) one head.
 * Expanding it again changes nothing.
 */
export interface ExpandedSpec {
  readonly expanded: true;
  readonly name: string;
  readonly description: string;
  readonly config: Readonly<Record<string, ExpandedConfigEntry>>;
  readonly inputs: Readonly<Record<string, ExpandedInput>>;
  /** The greatest size of a symbolic dimension: `{ sequence: 512 }`. */
  readonly limits: Readonly<Record<string, number>>;
  readonly blocks: Readonly<Record<string, ExpandedBlock>>;
  readonly backbone: ExpandedPart;
  readonly head: ExpandedHead | null;
  readonly tokenizer: ExpandedTokenizer | null;
  /** By format name; see spec/checkpoints.ts. Expressions in it are evaluated. */
  readonly checkpoints: ExpandedCheckpoints;
}

/** Which tokenizer, and which ids mean what. */
export interface ExpandedTokenizer {
  readonly type: "sentencepiece" | "wordpiece" | "bpe";
  /** How a SentencePiece model's ids become the model's: "fairseq" is XLM-RoBERTa's, "fairseq_unused" CamemBERT's, "none" as they are. */
  readonly remap: "none" | "fairseq" | "fairseq_unused";
  readonly special_tokens: {
    readonly start: string;
    readonly end: string;
    readonly pad: string;
    readonly mask?: string;
    readonly unknown: string;
  };
  readonly lowercase?: boolean;
  /** Whether WordPiece strips accents; default as `lowercase`. */
  readonly strip_accents?: boolean;
  /** Separator between segments: how many end tokens (XLM-RoBERTa and RoBERTa put two). */
  readonly separators: number;
  readonly asset: string;
}

/** One group of KerasHub's HDF5 tree: its path, the `name` attribute of its `vars` group, the weights in it in order. */
export interface ExpandedKerasGroup {
  readonly group: string;
  readonly name: string;
  /** Weight paths; a weight's dataset is `<group>/vars/<index>`. Empty for a group that holds nothing. */
  readonly vars: readonly string[];
  /** Other group paths that old writers used for this one. */
  readonly legacy: readonly string[];
}

/** One weight of a Hugging Face checkpoint: tensor name, and what makes ours of it. */
export interface ExpandedHuggingFaceWeight {
  readonly weight: string;
  readonly tensor: string;
  readonly aliases: readonly string[];
  /** "transpose" swaps a matrix's axes; then the data is reshaped to the weight's shape. */
  readonly transform: "none" | "transpose";
  /** Leading rows of the tensor to leave out (RoBERTa's first two positions). */
  readonly skip_rows: number;
  /** A tensor whose row 0 is added to every row (RoBERTa's only token type). */
  readonly add_row?: string;
  /** Other names of the tensor that is added. */
  readonly add_row_aliases?: readonly string[];
  /** It may be missing: then the weight keeps its initial value (BERT's pooler). */
  readonly optional?: boolean;
}

/** How the weights are called in the files of others. */
export interface ExpandedCheckpoints {
  readonly kerashub?: {
    /** Class names and modules as KerasHub registers them. */
    readonly backbone: { readonly class_name: string; readonly module: string };
    readonly tokenizer?: { readonly class_name: string; readonly module: string };
    readonly tasks: Readonly<
      Record<
        string,
        {
          readonly class_name: string;
          readonly module: string;
          readonly preprocessor?: { readonly class_name: string; readonly module: string };
        }
      >
    >;
    readonly groups: readonly ExpandedKerasGroup[];
    readonly head_groups: readonly ExpandedKerasGroup[];
  };
  readonly huggingface?: {
    readonly model_type: string;
    /** The class of the tokenizer in transformers. */
    readonly tokenizer_class?: string;
    /** Config key of theirs → ours; "a.b" is the key b of their object a. */
    readonly config: Readonly<Record<string, string>>;
    /** Config key of theirs → what is added to its number (RoBERTa's two unused positions: -2). */
    readonly config_offsets?: Readonly<Record<string, number>>;
    /** Config key of theirs → their value → ours; a value that is not listed cannot be expressed. */
    readonly config_values?: Readonly<Record<string, Readonly<Record<string, ConfigValue>>>>;
    /** By task: config key of theirs → ours in the head's configuration. */
    readonly head_config?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly weights: readonly ExpandedHuggingFaceWeight[];
  };
}

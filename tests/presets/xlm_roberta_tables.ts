/** KerasHub's tree of a small XLM-RoBERTa masked language model, by hand: what a spec's checkpoints give after expansion. */

import type { KerasCheckpoint, NamedShape } from "../../presets/kerashub/weights.ts";
import type { ExpandedKerasGroup } from "../../spec/types.ts";

export interface Size {
  readonly vocabulary: number;
  readonly length: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
}

/** The sizes of kerashub/xlm_roberta_tiny and of kerashub-formats. */
export const TINY: Size = { vocabulary: 2502, length: 12, hidden: 16, heads: 2, intermediate: 32 };
export const TINIEST: Size = { vocabulary: 14, length: 5, hidden: 4, heads: 2, intermediate: 8 };

const group = (path: string, name: string, vars: readonly string[] = [], legacy: readonly string[] = []): ExpandedKerasGroup => ({
  group: path,
  name,
  vars,
  legacy,
});

/** Two layers' worth of groups, as KerasHub numbers them. */
function encoder(i: number): ExpandedKerasGroup[] {
  const suffix = i === 0 ? "" : `_${i}`;
  const at = `layers/transformer_encoder${suffix}`;
  const weights = `transformer_layer_${i}`;
  const dense = (key: string, name: string): ExpandedKerasGroup =>
    group(
      `${at}/_self_attention_layer/${key}_dense`,
      name,
      [`${weights}/self_attention_layer/${name}/kernel`, `${weights}/self_attention_layer/${name}/bias`],
      [`${at}/_self_attention_layer/_${key}_dense`],
    );
  const two = (name: string, first: string, second: string): ExpandedKerasGroup =>
    group(`${at}/_${name}`, name, [`${weights}/${name}/${first}`, `${weights}/${name}/${second}`]);
  return [
    group(at, weights),
    group(`${at}/_self_attention_layer`, "self_attention_layer"),
    dense("query", "query"),
    dense("key", "key"),
    dense("value", "value"),
    dense("output", "attention_output"),
    group(`${at}/_self_attention_layer/_dropout_layer`, `dropout${suffix}`),
    group(`${at}/_self_attention_layer/_softmax`, `softmax${suffix}`),
    two("self_attention_layer_norm", "gamma", "beta"),
    two("feedforward_layer_norm", "gamma", "beta"),
    two("feedforward_intermediate_dense", "kernel", "bias"),
    two("feedforward_output_dense", "kernel", "bias"),
    group(`${at}/_self_attention_dropout`, "self_attention_dropout"),
    group(`${at}/_feedforward_dropout`, "feedforward_dropout"),
  ];
}

/** The checkpoint tables of a model with two layers. */
export const checkpoint: KerasCheckpoint = {
  backbone: { class_name: "XLMRobertaBackbone", module: "keras_hub.src.models.xlm_roberta.xlm_roberta_backbone" },
  tokenizer: { class_name: "XLMRobertaTokenizer", module: "keras_hub.src.models.xlm_roberta.xlm_roberta_tokenizer" },
  tasks: {
    masked_lm: {
      class_name: "XLMRobertaMaskedLM",
      module: "keras_hub.src.models.xlm_roberta.xlm_roberta_masked_lm",
      preprocessor: {
        class_name: "XLMRobertaMaskedLMPreprocessor",
        module: "keras_hub.src.models.xlm_roberta.xlm_roberta_masked_lm_preprocessor",
      },
    },
  },
  groups: [
    group("", "xlm_roberta_backbone"),
    group("layers/input_layer", "token_ids"),
    group("layers/input_layer_1", "padding_mask"),
    group("layers/token_and_position_embedding", "embeddings"),
    group("layers/token_and_position_embedding/token_embedding", "token_embedding", ["embeddings/token_embedding/embeddings"]),
    group("layers/token_and_position_embedding/position_embedding", "position_embedding", ["embeddings/position_embedding/embeddings"]),
    group("layers/layer_normalization", "embeddings_layer_norm", ["embeddings_layer_norm/gamma", "embeddings_layer_norm/beta"]),
    group("layers/dropout", "embeddings_dropout"),
    ...encoder(0),
    ...encoder(1),
  ],
  head_groups: [
    group("", "xlm_roberta_masked_lm_1"),
    group("layers/input_layer_2", "mask_positions"),
    group("layers/masked_lm_head", "mlm_head", ["mlm_head/output_bias"]),
    group("layers/masked_lm_head/_intermediate_dense", "intermediate_dense", [
      "mlm_head/intermediate_dense/kernel",
      "mlm_head/intermediate_dense/bias",
    ]),
    group("layers/masked_lm_head/_intermediate_layer_norm", "intermediate_layer_norm", [
      "mlm_head/intermediate_layer_norm/gamma",
      "mlm_head/intermediate_layer_norm/beta",
    ]),
  ],
};

/** The shape of each weight by what it is. */
function shapeOf(path: string, { vocabulary, length, hidden, heads, intermediate }: Size): number[] {
  const perHead = hidden / heads;
  const shapes: [RegExp, number[]][] = [
    [/token_embedding/, [vocabulary, hidden]],
    [/position_embedding/, [length, hidden]],
    [/output_bias/, [vocabulary]],
    [/(query|key|value)\/kernel/, [hidden, heads, perHead]],
    [/(query|key|value)\/bias/, [heads, perHead]],
    [/attention_output\/kernel/, [heads, perHead, hidden]],
    [/feedforward_intermediate_dense\/kernel/, [hidden, intermediate]],
    [/feedforward_intermediate_dense\/bias/, [intermediate]],
    [/feedforward_output_dense\/kernel/, [intermediate, hidden]],
    [/intermediate_dense\/kernel/, [hidden, hidden]],
    [/./, [hidden]],
  ];
  return shapes.find(([pattern]) => pattern.test(path))![1];
}

/** The weights of a table's groups. */
export function weightsOf(groups: readonly ExpandedKerasGroup[], size: Size): NamedShape[] {
  return groups.flatMap(({ vars }) => vars).map((path) => ({ path, shape: shapeOf(path, size) }));
}

/** Enters the base classes into the registry, so that presets of any spec find them. */

import { Backbone } from "./backbone.ts";
import { CausalLM } from "./causal_lm.ts";
import { MaskedLM } from "./masked_lm.ts";
import { CausalLMPreprocessor, MaskedLMPreprocessor, TextClassifierPreprocessor } from "./preprocessor.ts";
import { registerBaseClasses } from "./registry.ts";
import { TextClassifier } from "./text_classifier.ts";
import { Tokenizer } from "./tokenizer.ts";

registerBaseClasses({
  backbone: Backbone,
  tokenizer: Tokenizer,
  tasks: {
    masked_lm: { task: MaskedLM, preprocessor: MaskedLMPreprocessor },
    text_classifier: { task: TextClassifier, preprocessor: TextClassifierPreprocessor },
    causal_lm: { task: CausalLM, preprocessor: CausalLMPreprocessor },
  },
});

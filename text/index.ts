/** The text layer: tokenizers, packers, masks, preprocessing. */

export { BytePairTokenizer, type BytePairTokenizerOptions } from "./bpe.ts";
export { MaskedLMMaskGenerator, type MaskedLMMaskGeneratorOptions } from "./masking.ts";
export { MultiSegmentPacker, type MultiSegmentPackerOptions, StartEndPacker, type StartEndPackerOptions } from "./packing.ts";
export { CausalLMPreprocessing, MaskedLMPreprocessing, TextClassifierPreprocessing } from "./preprocessors.ts";
export { SentencePieceTokenizer, type SentencePieceTokenizerOptions } from "./sentencepiece.ts";
export { createTokenizer, type TextTokenizer } from "./tokenizer.ts";
export { WordPieceTokenizer, type WordPieceTokenizerOptions } from "./wordpiece.ts";

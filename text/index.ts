/** The text layer: tokenizers, packers, masks, preprocessing. */

export { BytePairTokenizer, type BytePairTokenizerOptions } from "./bpe.ts";
export { Normalizer, type NormalizerOptions } from "./charsmap.ts";
export { type MaskDraw, MaskedLMMaskGenerator, type MaskedLMMaskGeneratorOptions, type MaskedTokens } from "./masking.ts";
export { MultiSegmentPacker, type MultiSegmentPackerOptions, StartEndPacker, type StartEndPackerOptions } from "./packing.ts";
export { CausalLMPreprocessing, MaskedLMPreprocessing, TextClassifierPreprocessing } from "./preprocessors.ts";
export { SentencePieceTokenizer, type SentencePieceTokenizerOptions } from "./sentencepiece.ts";
export { type NormalizerSpec, readSentencePieceModel, type SentencePieceModel, stripTrainerPaths } from "./sentencepiece_model.ts";
export { SentencePieceProcessor } from "./sentencepiece_processor.ts";
export { createTokenizer, type TextTokenizer } from "./tokenizer.ts";
export { WordPieceTokenizer, type WordPieceTokenizerOptions } from "./wordpiece.ts";

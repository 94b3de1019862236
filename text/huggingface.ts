/** Tokenizers in Hugging Face's folders: which files, made from them, written to them. */

import { OnnxHubError } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "../formats/json.ts";
import type { ExpandedTokenizer } from "../spec/types.ts";
import { BytePairTokenizer } from "./bpe.ts";
import { SentencePieceTokenizer } from "./sentencepiece.ts";
import { assetNames, type TextTokenizer } from "./tokenizer.ts";
import { tokenizerFromJson } from "./tokenizer_json.ts";
import { AddedTokensTokenizer } from "./tokenizer_json/added_tokens.ts";
import { Field } from "./tokenizer_json/fields.ts";
import { type KnownTokenizer, knownTokenizer, tokenizerJson } from "./tokenizer_json/write.ts";
import { WordPieceTokenizer } from "./wordpiece.ts";

type Files = Readonly<Record<string, Uint8Array>>;
type Kind = ExpandedTokenizer["type"];

const TOKENIZER_JSON = "tokenizer.json";
const CONFIG = "tokenizer_config.json";
const SPECIAL_TOKENS = "special_tokens_map.json";

/** By kind the files that make a tokenizer, one set or another, the wanted first. */
const FILE_SETS: Readonly<Record<Kind, readonly (readonly string[])[]>> = {
  sentencepiece: [["sentencepiece.bpe.model"], ["spiece.model"], ["tokenizer.model"], [TOKENIZER_JSON]],
  wordpiece: [["vocab.txt"], [TOKENIZER_JSON]],
  bpe: [["vocab.json", "merges.txt"], [TOKENIZER_JSON]],
};

/** The name under which a SentencePiece model is written. */
const MODEL_NAMES: Readonly<Record<ExpandedTokenizer["remap"], string>> = {
  none: "tokenizer.model",
  fairseq: "sentencepiece.bpe.model",
  fairseq_unused: "sentencepiece.bpe.model",
};

/** Which of transformers' names of special tokens tell which of ours, the first that is there. */
const TOKEN_NAMES: readonly [ours: keyof ExpandedTokenizer["special_tokens"], theirs: readonly string[]][] = [
  ["start", ["cls_token", "bos_token"]],
  ["end", ["sep_token", "eos_token"]],
  ["pad", ["pad_token"]],
  ["mask", ["mask_token"]],
  ["unknown", ["unk_token"]],
];

/**
 * The names of a Hugging Face folder's files that a tokenizer may be made from, in the order in which they are wanted; then its two files of
 * options. Not every folder has each.
 */
export function tokenizerFiles(spec: ExpandedTokenizer): string[] {
  return [...FILE_SETS[spec.type].flat(), CONFIG, SPECIAL_TOKENS];
}

/**
 * The tokenizer of a Hugging Face folder, made from those of its files that are there (see {@linkcode tokenizerFiles}): from its vocabulary file, or
 * from its `tokenizer.json` where there is no other, or where that has tokens that the vocabulary file lacks. `path` is the folder, for errors.
 *
 * Whether text is lowercased and what the special tokens are, say `tokenizer_config.json` and `special_tokens_map.json`; where they don't, what
 * transformers takes for granted. A tokenizer from `tokenizer.json` keeps special tokens in a text whole; one from a SentencePiece model or a `vocab.txt`
 * takes them for text, as KerasHub's do.
 *
 * Throws "text/missing-asset" when no file is there, "text/tokenizer-config" for options that can't be read, "text/tokenizer-json" (see
 * {@linkcode tokenizerFromJson}), and what the tokenizers throw for damaged files.
 */
export function tokenizerFromFiles(spec: ExpandedTokenizer, files: Files, path = ""): TextTokenizer {
  const sets = FILE_SETS[spec.type].filter((names) => names.every((name) => Object.hasOwn(files, name)));
  if (sets.length === 0) {
    throw new OnnxHubError("text/missing-asset", "No file of a tokenizer is there", {
      path: path || undefined,
      expected: FILE_SETS[spec.type].map((names) => names.join(" and ")).join(", or "),
      found: Object.keys(files).join(", ") || "no file",
    });
  }
  const place = (name: string): string => path === "" ? name : `${path}/${name}`;
  const options = [SPECIAL_TOKENS, CONFIG].filter((name) => Object.hasOwn(files, name)).map((name) =>
    readOptions(files[name], place(name))
  );
  const config = options.find(({ path }) => path === place(CONFIG)) ?? new Field({}, place(CONFIG));
  const actual = { ...spec, special_tokens: specialTokens(spec, options) };
  const fromJson = (): TextTokenizer => tokenizerFromJson(files[TOKENIZER_JSON], actual, place(TOKENIZER_JSON));
  const [names] = sets;
  const hasJson = Object.hasOwn(files, TOKENIZER_JSON);
  if (names[0] === TOKENIZER_JSON) return fromJson();
  // Without a word on it, tokenizer.json knows what the vocabulary alone doesn't say.
  if (spec.type === "wordpiece" && config.get("do_lower_case").absent && hasJson) return fromJson();
  const tokenizer = FROM_VOCABULARY[spec.type](actual, names.map((name) => files[name]), names.map(place), config);
  const lacking = lackingToken(tokenizer, config);
  if (lacking === undefined) return tokenizer;
  if (hasJson) return fromJson();
  throw lacking;
}

type FromVocabulary = (spec: ExpandedTokenizer, files: readonly Uint8Array[], paths: readonly string[], config: Field) => TextTokenizer;

const FROM_VOCABULARY: Readonly<Record<Kind, FromVocabulary>> = {
  sentencepiece: ({ remap, special_tokens, asset }, [proto], [path]) =>
    new SentencePieceTokenizer({ proto, remap, specialTokens: special_tokens, asset, path }),
  wordpiece: ({ special_tokens, asset }, [vocabulary], [path], config) => {
    const lowercase = config.get("do_lower_case").boolean(true);
    return new WordPieceTokenizer({
      vocabulary,
      lowercase,
      stripAccents: config.get("strip_accents").boolean(lowercase),
      splitIdeographs: config.get("tokenize_chinese_chars").boolean(true),
      specialTokens: special_tokens,
      asset,
      path,
    });
  },
  bpe: (spec, [vocabulary, merges], [vocabularyPath, mergesPath], config) => {
    const [vocabularyAsset, mergesAsset] = assetNames(spec);
    const addPrefixSpace = config.get("add_prefix_space").boolean(false);
    const inner = new BytePairTokenizer({
      vocabulary,
      merges,
      specialTokens: spec.special_tokens,
      assets: { vocabulary: vocabularyAsset, merges: mergesAsset },
      paths: { vocabulary: vocabularyPath, merges: mergesPath },
      specialTokensInText: !addPrefixSpace,
    });
    if (!addPrefixSpace) return inner;
    return new AddedTokensTokenizer({ inner, tokens: knownTokenizer(inner, spec).added, addPrefixSpace });
  },
};

function readOptions(bytes: Uint8Array, path: string): Field {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new OnnxHubError("text/tokenizer-config", "A tokenizer's options can't be read", {
      path,
      expected: "UTF-8",
      found: "other bytes",
      cause,
    });
  }
  const field = new Field(parseJson(text, path), path, "text/tokenizer-config");
  field.object();
  return field;
}

/** The spec's special tokens, and in their place what the folder says. */
function specialTokens(spec: ExpandedTokenizer, options: readonly Field[]): ExpandedTokenizer["special_tokens"] {
  const tokens = { ...spec.special_tokens };
  for (const [ours, theirs] of TOKEN_NAMES) {
    if (tokens[ours] === undefined) continue;
    const said = theirs.flatMap((name) => options.map((option) => option.get(name))).find((field) => !field.absent);
    if (said !== undefined) tokens[ours] = (isJsonObject(said.value) ? said.get("content") : said).string();
  }
  return tokens;
}

/** An error for the first added token of `tokenizer_config.json` that the vocabulary lacks. */
function lackingToken(tokenizer: TextTokenizer, config: Field): OnnxHubError | undefined {
  const added = config.get("added_tokens_decoder");
  if (added.absent) return undefined;
  for (const key of Object.keys(added.object())) {
    const id = Number(key);
    const content = added.get(key).get("content");
    const found = Number.isInteger(id) && id >= 0 && id < tokenizer.vocabularySize ? tokenizer.idToToken(id) : undefined;
    if (found !== content.string()) return content.error(found === undefined ? "a token of the vocabulary" : JSON.stringify(found));
  }
  return undefined;
}

/** What {@linkcode huggingFaceFiles} is told. */
export interface HuggingFaceFilesOptions {
  /** The longest row that the model takes, in tokens. */
  readonly modelMaxLength: number;
  /** The class in transformers. Default "PreTrainedTokenizerFast", which takes any tokenizer.json. */
  readonly tokenizerClass?: string;
}

const encoder = new TextEncoder();

/**
 * A tokenizer as the files of a Hugging Face folder, by name: the vocabulary as its own kind has it, `tokenizer.json`, `tokenizer_config.json` and
 * `special_tokens_map.json`. transformers, transformers.js and the tokenizers library read them.
 *
 * Throws "text/tokenizer-json" for a tokenizer that `tokenizer.json` can't express, such as SentencePiece's word models, and "text/tokenizer-kind" for one
 * that is not of the spec's kind.
 */
export function huggingFaceFiles(
  tokenizer: TextTokenizer,
  spec: ExpandedTokenizer,
  options: HuggingFaceFilesOptions,
): Record<string, Uint8Array> {
  const known = knownTokenizer(tokenizer, spec);
  const names = tokenNames(known, spec);
  const files: Record<string, string | Uint8Array> = {
    ...vocabularyFiles(known, spec),
    [TOKENIZER_JSON]: tokenizerJson(known, spec),
    [CONFIG]: pretty(configuration(known, names, options)),
    [SPECIAL_TOKENS]: pretty(names),
  };
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, typeof file === "string" ? encoder.encode(file) : file]));
}

const pretty = (value: JsonObject): string => `${JSON.stringify(value, null, 2)}\n`;

function vocabularyFiles({ kind, inner }: KnownTokenizer, spec: ExpandedTokenizer): Record<string, string | Uint8Array> {
  const files = Object.values(inner.assets());
  switch (kind) {
    case "sentencepiece":
      return { [MODEL_NAMES[spec.remap]]: files[0] };
    case "wordpiece":
      return { "vocab.txt": files[0] };
    case "bpe":
      // Python's reader leaves the first line out.
      return { "vocab.json": files[0], "merges.txt": ["#version: 0.2", ...inner.merges, ""].join("\n") };
  }
}

/** The special tokens by transformers' names; the mask with its flags where it takes a space. */
function tokenNames({ kind, inner, added }: KnownTokenizer, spec: ExpandedTokenizer): JsonObject {
  const causal = spec.special_tokens.mask === undefined;
  const start = inner.idToToken(inner.startTokenId);
  const end = inner.idToToken(inner.endTokenId);
  const mask = added.find(({ id }) => id === inner.maskTokenId);
  const named: (JsonValue | undefined)[] = [
    inner.startTokenId,
    inner.endTokenId,
    inner.padTokenId,
    inner.unknownTokenId,
    inner.maskTokenId,
  ];
  const further = added.filter(({ id, special }) => special && !named.includes(id)).map(({ content }) => content);
  return {
    ...kind === "wordpiece" ? {} : { bos_token: start, eos_token: end },
    ...causal ? {} : { cls_token: start, sep_token: end },
    unk_token: inner.idToToken(inner.unknownTokenId),
    pad_token: inner.idToToken(inner.padTokenId),
    ...inner.maskTokenId === undefined ? {} : { mask_token: mask?.lstrip ? flags(mask) : inner.idToToken(inner.maskTokenId) },
    ...further.length === 0 ? {} : { additional_special_tokens: further },
  };
}

const flags = ({ id: _, ...token }: KnownTokenizer["added"][number]): JsonObject => ({ ...token });

function configuration(
  { kind, inner, added, addPrefixSpace }: KnownTokenizer,
  names: JsonObject,
  { modelMaxLength, tokenizerClass = "PreTrainedTokenizerFast" }: HuggingFaceFilesOptions,
): JsonObject {
  const mask = isJsonObject(names.mask_token) ? { mask_token: { __type: "AddedToken", ...names.mask_token } } : {};
  const common = {
    added_tokens_decoder: Object.fromEntries(added.map((token) => [String(token.id), flags(token)])),
    clean_up_tokenization_spaces: kind === "wordpiece",
    model_max_length: modelMaxLength,
    tokenizer_class: tokenizerClass,
    ...names,
    ...mask,
  };
  switch (kind) {
    case "wordpiece": {
      const { lowercase, stripAccents, splitIdeographs } = inner.normalization;
      return { ...common, do_lower_case: lowercase, strip_accents: stripAccents, tokenize_chinese_chars: splitIdeographs };
    }
    case "bpe":
      return { ...common, add_prefix_space: addPrefixSpace };
    case "sentencepiece":
      return { ...common, add_prefix_space: inner.model.normalizer.addDummyPrefix };
  }
}

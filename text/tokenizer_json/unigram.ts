/** A SentencePiece Unigram model out of a `tokenizer.json`. */

import type { ExpandedTokenizer } from "../../spec/types.ts";
import { Normalizer } from "../charsmap.ts";
import { SentencePieceTokenizer } from "../sentencepiece.ts";
import type { PieceType, SentencePiece } from "../sentencepiece_model.ts";
import { type AddedToken, AddedTokensTokenizer, withAddedTokens } from "./added_tokens.ts";
import type { Field } from "./fields.ts";
import { writeSentencePieceModel } from "./sentencepiece_proto.ts";
import { readSpaces } from "./spaces.ts";

type SpecialTokens = ExpandedTokenizer["special_tokens"];

/** Where a model's own pieces are in the vocabulary, by `remap`: the tokens that come first, the pieces that stand for them in the model, and the rest. */
interface Layout {
  /** The tokens that the vocabulary must begin with. */
  readonly first: readonly string[];
  /** The pieces that the model has in their place. */
  readonly pieces: readonly string[];
  /** The token that comes last and is no piece. */
  readonly mask: string | undefined;
}

/** The mask that these vocabularies have, also for a model that has no use for it. */
const DEFAULT_MASK = "<mask>";

const LAYOUTS: Readonly<Record<ExpandedTokenizer["remap"], (special: SpecialTokens) => Layout>> = {
  none: () => ({ first: [], pieces: [], mask: undefined }),
  fairseq: ({ start, pad, end, unknown, mask = DEFAULT_MASK }) => ({
    first: [start, pad, end, unknown],
    pieces: [unknown, start, end],
    mask,
  }),
  fairseq_unused: ({ start, pad, end, unknown, mask = DEFAULT_MASK }) => ({
    first: [`${start}NOTUSED`, pad, `${end}NOTUSED`, unknown, `${unknown}NOTUSED`],
    pieces: [unknown],
    mask,
  }),
};

/** Special tokens that are no text. */
const CONTROL = ["start", "end", "pad", "mask"] as const;

const BYTE = /^<0x[0-9A-F]{2}>$/;

/** Reads the model "Unigram" behind steps that do what SentencePiece does; the tokenizer is SentencePiece's own, made of the same pieces. */
export function readUnigram(root: Field, added: readonly AddedToken[], spec: ExpandedTokenizer): AddedTokensTokenizer {
  const model = root.get("model");
  const spaces = readSpaces(root.get("normalizer"), root.get("pre_tokenizer"));
  const byteFallback = model.get("byte_fallback").boolean(false);
  const { tokens, scores } = readScores(model.get("vocab"));
  const unknown = tokens[model.get("unk_id").index(tokens.length)];
  if (unknown !== spec.special_tokens.unknown) throw model.get("unk_id").error(`the id of ${JSON.stringify(spec.special_tokens.unknown)}`);
  const all = withAddedTokens(tokens, added, root.get("added_tokens"));
  const layout = LAYOUTS[spec.remap](spec.special_tokens);
  const rest = withoutPrefix(all, layout, model.get("vocab"));

  const addedByContent = new Map(added.map((token) => [token.content, token]));
  const inVocabulary = new Set(tokens);
  const typeOf = (piece: string): PieceType => {
    if (piece === unknown) return "unknown";
    const token = addedByContent.get(piece);
    if (token?.special || CONTROL.some((name) => spec.special_tokens[name] === piece)) return "control";
    if (byteFallback && BYTE.test(piece)) return "byte";
    // Nothing finds these: what is no entry of the model's, and what goes over a space where the text is cut there.
    return !inVocabulary.has(piece) || (spaces.split && piece.lastIndexOf("▁") > 0) ? "unused" : "normal";
  };
  const pieces = [...layout.pieces, ...rest].map((piece): SentencePiece => ({ piece, score: scores.get(piece) ?? 0, type: typeOf(piece) }));
  const bytes = pieces.filter(({ type }) => type === "byte").length;
  if (byteFallback && bytes !== 256) {
    throw model.get("byte_fallback").error("false, or a piece of each byte", `true, and pieces of ${bytes} bytes`);
  }

  const inner = new SentencePieceTokenizer({
    proto: writeSentencePieceModel({ type: "unigram", pieces, ...spaces, byteFallback, special: { ...spec.special_tokens, unknown } }),
    remap: spec.remap,
    specialTokens: spec.special_tokens,
    asset: spec.asset,
    path: root.path,
  });
  const rules = { ...inner.model.normalizer, addDummyPrefix: false, removeExtraWhitespaces: false, escapeWhitespaces: false };
  const normalizer = new Normalizer(rules, { path: root.path });
  return new AddedTokensTokenizer({
    inner,
    tokens: added,
    normalize: (text) => normalizer.normalize(text),
    idOfSpaceAtEnd: spaces.spaceAtEnd ? inner.tokenToId("▁") : undefined,
  });
}

/** Reads pairs of a piece and its score. */
function readScores(field: Field): { tokens: string[]; scores: Map<string, number> } {
  const scores = new Map<string, number>();
  const tokens = field.array().map((pair, i) => {
    if (Array.isArray(pair) && pair.length === 2) {
      const [piece, score] = pair;
      // A float32 is what SentencePiece's scores are.
      const fits = typeof score === "number" && Number.isFinite(Math.fround(score));
      if (typeof piece === "string" && piece !== "" && fits) {
        if (scores.has(piece)) throw field.items()[i].items()[0].error("each piece once");
        scores.set(piece, score);
        return piece;
      }
    }
    throw field.items()[i].error("a piece and its score, a number", JSON.stringify(pair).slice(0, 80));
  });
  if (tokens.length === 0) throw field.error("at least one piece", "none");
  return { tokens, scores };
}

/** The tokens that are the model's own pieces, after checking that those before and behind them are where they belong. */
function withoutPrefix(tokens: readonly string[], { first, mask }: Layout, field: Field): readonly string[] {
  first.forEach((token, id) => {
    if (tokens[id] !== token) throw field.error(`${JSON.stringify(token)} with the id ${id}`, JSON.stringify(tokens[id] ?? null));
  });
  if (mask === undefined) return tokens;
  const last = tokens.length - 1;
  if (tokens[last] !== mask) {
    throw field.error(`${JSON.stringify(mask)} as the last token`, JSON.stringify(tokens[last].slice(0, 40)));
  }
  return tokens.slice(first.length, last);
}

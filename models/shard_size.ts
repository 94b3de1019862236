/** The sizes that files of weights are limited to, as options give them. */

import { OnnxHubError } from "../errors.ts";

const UNITS: Readonly<Record<string, number>> = { KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** Text such as "5GB", "1.5 MiB" in whole bytes; NaN for what is none. */
export function parseSize(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([KMG]I?B)$/i.exec(text);
  return match ? Math.floor(Number(match[1]) * UNITS[match[2].toUpperCase()]) : NaN;
}

/** What a plain number counts: transformers takes bytes, KerasHub gigabytes of 2^30. */
const NUMBERS = { bytes: 1, gigabytes: 2 ** 30 } as const;

/**
 * The bytes of an option's value: a number of `unit`, or text with its own unit.
 *
 * Throws "model/option" for less than one byte and for what is no size; `path` names the option.
 */
export function sizeInBytes(path: string, size: number | string, unit: keyof typeof NUMBERS): number {
  const bytes = typeof size === "number" ? Math.floor(size * NUMBERS[unit]) : parseSize(String(size));
  if (bytes >= 1 && Number.isFinite(bytes)) return bytes;
  throw new OnnxHubError("model/option", "No size of a file", {
    path,
    expected: `a number of ${unit}, at least one byte, or text such as "5GB"`,
    found: typeof size === "string" ? JSON.stringify(size) : String(size),
  });
}

/** JSON files: reading with limits and places of errors, writing byte for byte as Python's `json.dumps(value, indent=4)`. */

import { OnnxHubError } from "../errors.ts";
import { openFile } from "./file.ts";

/**
 * A number that Python holds as a float, so that 0 is written `0.0` and 1e-6 `1e-06`. A plain number is written as an int
 * where it is whole.
 */
export class JsonFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A value of a JSON file. */
export type JsonValue = string | number | boolean | null | JsonFloat | readonly JsonValue[] | JsonObject;

/** An object of a JSON file; keys keep their order. */
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** How JSON is read. */
export interface JsonReadOptions {
  /** Levels of arrays and objects, 64 by default: "format/json-depth" beyond. */
  maximumDepth?: number;
  /** Numbers with a point or an exponent become JsonFloat, so that writing gives them back as they were. Default false. */
  keepFloats?: boolean;
}

/** Whether a value is an object of a JSON file. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat);
}

/**
 * Reads a JSON file of at most `maximumBytes` (64 MiB by default; "format/json-size" beyond).
 *
 * Throws "format/missing-file", "format/json-encoding" for bytes that are no UTF-8, "format/json-syntax" with line and column.
 */
export function readJson(path: string, options: JsonReadOptions & { maximumBytes?: number } = {}): JsonValue {
  const { maximumBytes = 64 << 20 } = options;
  const file = openFile(path);
  try {
    if (file.size > maximumBytes) {
      throw new OnnxHubError("format/json-size", "The JSON file is too large", {
        path,
        expected: `at most ${maximumBytes} bytes`,
        found: `${file.size}`,
      });
    }
    const bytes = file.bytes(0, file.size, "JSON");
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new OnnxHubError("format/json-encoding", "The JSON file is not UTF-8", { path, cause });
    }
    return parseJson(text, path, options);
  } finally {
    file.close();
  }
}

const WHITESPACE = /[ \t\n\r]*/y;
// As Python reads it: NaN and infinities too.
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
// deno-lint-ignore no-control-regex -- JSON forbids exactly these inside strings.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const WORDS: readonly [string, JsonValue][] = [
  ["true", true],
  ["false", false],
  ["null", null],
  ["NaN", new JsonFloat(NaN)],
  ["Infinity", new JsonFloat(Infinity)],
  ["-Infinity", new JsonFloat(-Infinity)],
];
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Parses JSON text; `path` names it in errors. A key that occurs twice in an object is an error, as no reader agrees on its meaning. */
export function parseJson(text: string, path: string, options: JsonReadOptions = {}): JsonValue {
  const { maximumDepth = 64, keepFloats = false } = options;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;

  const fail = (expected: string, position = at): OnnxHubError => {
    const before = text.slice(0, position);
    const line = before.split("\n").length;
    const column = position - before.lastIndexOf("\n");
    const found = position >= text.length ? "the end of the file" : JSON.stringify(text.slice(position, position + 20));
    return new OnnxHubError("format/json-syntax", "Not valid JSON", { path: `${path}:${line}:${column}`, expected, found });
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  };
  const take = (character: string): boolean => {
    match(WHITESPACE);
    if (text[at] !== character) return false;
    at++;
    return true;
  };

  const string = (): string => {
    let result = "";
    for (;;) {
      result += match(PLAIN)![0];
      const character = text[at];
      if (character === '"') {
        at++;
        return result;
      }
      if (character !== "\\") throw fail("the end of the string");
      const escape = text[at + 1];
      if (escape === "u") {
        const digits = text.slice(at + 2, at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw fail("four hexadecimal digits after \\u");
        result += String.fromCharCode(parseInt(digits, 16));
        at += 6;
      } else {
        const meaning = ESCAPES[escape];
        if (meaning === undefined) throw fail("an escape that JSON knows");
        result += meaning;
        at += 2;
      }
    }
  };

  const value = (depth: number): JsonValue => {
    if (depth > maximumDepth) {
      throw new OnnxHubError("format/json-depth", "The JSON is nested too deep", { path, expected: `at most ${maximumDepth} levels` });
    }
    if (take("{")) return object(depth);
    if (take("[")) return array(depth);
    if (take('"')) return string();
    for (const [word, meaning] of WORDS) {
      if (!text.startsWith(word, at)) continue;
      at += word.length;
      return meaning instanceof JsonFloat && !keepFloats ? meaning.value : meaning;
    }
    const number = match(NUMBER);
    if (!number) throw fail("a value");
    const parsed = Number(number[0]);
    return keepFloats && (number[1] ?? number[2]) !== undefined ? new JsonFloat(parsed) : parsed;
  };

  const array = (depth: number): JsonValue[] => {
    const items: JsonValue[] = [];
    if (take("]")) return items;
    do items.push(value(depth + 1)); while (take(","));
    if (!take("]")) throw fail("`,` or `]`");
    return items;
  };

  const object = (depth: number): JsonObject => {
    const result: Record<string, JsonValue> = {};
    if (take("}")) return result;
    do {
      match(WHITESPACE);
      const start = at;
      if (!take('"')) throw fail("a key in quotes");
      const key = string();
      if (Object.hasOwn(result, key)) throw fail("each key once", start);
      if (!take(":")) throw fail("`:`");
      const member = value(depth + 1);
      // An assignment to __proto__ would set the prototype.
      Object.defineProperty(result, key, { value: member, writable: true, enumerable: true, configurable: true });
    } while (take(","));
    if (!take("}")) throw fail("`,` or `}`");
    return result;
  };

  const result = value(0);
  match(WHITESPACE);
  if (at < text.length) throw fail("the end of the file");
  return result;
}

/**
 * A value as Python's `json.dumps(value, indent=4)` writes it: ASCII only, floats with a point or an exponent of two digits, no newline at
 * the end. Members that are undefined are left out.
 */
export function formatJson(value: JsonValue, indent = 4): string {
  return format(value, "\n", " ".repeat(indent));
}

function format(value: JsonValue, newline: string, step: string): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value).toString() : formatFloat(value);
  if (value instanceof JsonFloat) return formatFloat(value.value);
  if (value === null || typeof value === "boolean") return String(value);
  const inner = newline + step;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${inner}${value.map((item) => format(item, inner, step)).join(`,${inner}`)}${newline}]`;
  }
  const members: string[] = [];
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) members.push(`${quote(key)}: ${format(member, inner, step)}`);
  }
  return members.length === 0 ? "{}" : `{${inner}${members.join(`,${inner}`)}${newline}}`;
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A float as Python's `repr` writes it: the shortest digits that read back, an exponent below 1e-4 and from 1e16 on. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

/** Reads the fields of Hugging Face's JSON files and says which one is not what it should be. */

import { OnnxHubError } from "../../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../formats/json.ts";

const WHAT = {
  "text/tokenizer-json": "This tokenizer.json can't be used",
  "text/tokenizer-config": "A tokenizer's options can't be used",
} as const;

/** A value of the file and where it is. */
export class Field {
  /** Undefined where the file has none. */
  readonly value: JsonValue | undefined;
  /** The file and the path in it: "tokenizer.json: model.vocab". */
  readonly path: string;

  readonly #code: keyof typeof WHAT;

  constructor(value: JsonValue | undefined, path: string, code: keyof typeof WHAT = "text/tokenizer-json") {
    this.value = value;
    this.path = path;
    this.#code = code;
  }

  /** Whether the field is missing or null. */
  get absent(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** A member of an object; one that is missing is a field without value. */
  get(name: string): Field {
    const object = this.object();
    return new Field(Object.hasOwn(object, name) ? object[name] : undefined, join(this.path, name), this.#code);
  }

  /** The members of an object. */
  object(): JsonObject {
    if (isJsonObject(this.value)) return this.value;
    throw this.error("an object");
  }

  /** The items of an array. */
  items(): Field[] {
    return this.array().map((item, i) => new Field(item, `${this.path}[${i}]`, this.#code));
  }

  /** The items of an array as they are: for lists too long to make a field of each. */
  array(): readonly JsonValue[] {
    if (Array.isArray(this.value)) return this.value;
    throw this.error("an array");
  }

  /** A string. */
  string(): string {
    if (typeof this.value === "string") return this.value;
    throw this.error("a string");
  }

  /** A boolean; `missing` for a field that is missing or null. */
  boolean(missing: boolean): boolean {
    if (this.absent) return missing;
    if (typeof this.value === "boolean") return this.value;
    throw this.error("true or false");
  }

  /** A whole number in [0, limit). */
  index(limit: number): number {
    if (typeof this.value === "number" && Number.isInteger(this.value) && this.value >= 0 && this.value < limit) return this.value;
    throw this.error(`a whole number in [0, ${limit - 1}]`);
  }

  /** The one value that can be expressed; a field that is missing or null has `missing`. */
  only(value: string | number | boolean | null, missing: string | number | boolean | null = value): void {
    if ((this.absent ? missing : this.value) !== value) throw this.error(JSON.stringify(value));
  }

  /** That this field is not what it should be. */
  error(expected: string, found: string = describe(this.value)): OnnxHubError {
    return new OnnxHubError(this.#code, WHAT[this.#code], { path: this.path, expected, found });
  }
}

const join = (path: string, name: string): string => {
  const plain = /^[A-Za-z_]\w*$/.test(name) && name.length <= 40;
  const step = plain ? name : `[${JSON.stringify(shortened(name))}]`;
  return path.includes(": ") ? `${path}${plain ? "." : ""}${step}` : `${path}: ${step}`;
};

const shortened = (text: string): string => text.length > 40 ? `${text.slice(0, 40)}…` : text;

/** A value in a few words. */
export function describe(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return JSON.stringify(shortened(value));
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : `an array of ${value.length}`;
  if (!isJsonObject(value)) return String(value);
  return typeof value.type === "string" ? `an object of type ${JSON.stringify(shortened(value.type))}` : "an object";
}

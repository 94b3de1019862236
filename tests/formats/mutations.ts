/** Seeded damage to files: bytes flipped, numbers made absurd, parts moved, cut and doubled; JSON with its values swapped. */

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { OnnxHubError } from "../../errors.ts";
import { RandomStream } from "../../random.ts";

/** Draws from a stream, one after the other. */
export class Draws {
  readonly #stream: RandomStream;
  #next = 0;

  constructor(...identity: readonly (string | number)[]) {
    this.#stream = new RandomStream(20260101, ...identity);
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.#stream.uniform(this.#next++) * limit);
  }

  /** One of a list. */
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** Values that sizes, counts and addresses are made of when somebody means harm; as bits, so that -1 is 2^64 - 1. */
const NUMBERS: readonly bigint[] = [0n, 1n, 2n, 7n, 8n, 127n, 128n, 255n, 256n, 65535n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 32n]
  .concat([1n << 40n, (1n << 53n) - 1n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, (1n << 64n) - 8n]);

type Bytes = Uint8Array<ArrayBuffer>;

type Damage = (bytes: Bytes, draws: Draws, at: number) => Bytes;

const splice = (bytes: Bytes, at: number, remove: number, insert: Bytes): Bytes => {
  const end = Math.min(bytes.length, at + remove);
  const result = new Uint8Array(at + insert.length + bytes.length - end);
  result.set(bytes.subarray(0, at));
  result.set(insert, at);
  result.set(bytes.subarray(end), at + insert.length);
  return result;
};

const DAMAGES: readonly Damage[] = [
  (bytes, draws, at) => {
    bytes[at] ^= 1 << draws.below(8);
    return bytes;
  },
  (bytes, draws, at) => {
    bytes[at] = draws.of([0, 1, 0x20, 0x7f, 0x80, 0xff, draws.below(256)]);
    return bytes;
  },
  function writeNumber(bytes, draws, at) {
    const width = draws.of([2, 4, 8]);
    const start = draws.below(2) === 0 ? at - at % width : at;
    const value = draws.of([...NUMBERS, BigInt(bytes.length), BigInt(bytes.length - 1), BigInt(draws.below(bytes.length))]);
    for (let i = 0; i < width && start + i < bytes.length; i++) bytes[start + i] = Number((value >> BigInt(8 * i)) & 255n);
    return bytes;
  },
  function copyPart(bytes, draws, at) {
    const length = draws.of([1, 4, 8, 16, 40, 96]);
    const from = draws.below(bytes.length);
    bytes.set(bytes.slice(from, Math.min(from + length, from + bytes.length - at)), at);
    return bytes;
  },
  (bytes, draws, at) => bytes.fill(draws.of([0, 0xff, 0x5b]), at, at + draws.of([8, 24, 64, 512])),
  (bytes, draws, at) => splice(bytes, at, draws.of([1, 2, 8, 40]), new Uint8Array()),
  (bytes, draws, at) => splice(bytes, at, 0, bytes.slice(at, at + draws.of([1, 8, 40, 200]))),
  (bytes, draws, at) => bytes.slice(0, draws.below(2) === 0 ? at : bytes.length - 1 - draws.below(Math.min(64, bytes.length))),
  (bytes, draws) => splice(bytes, bytes.length, 0, new Uint8Array(1 + draws.below(64))),
];

/** A damaged copy: one to three damages, each somewhere before `end` (the whole length by default). */
export function damagedBytes(original: Uint8Array, draws: Draws, end: number = original.length): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(original);
  for (let times = draws.of([1, 1, 1, 2, 3]); times > 0 && bytes.length > 1; times--) {
    bytes = draws.of(DAMAGES)(bytes, draws, draws.below(Math.min(end, bytes.length)));
  }
  return bytes;
}

/** Any JSON. */
export type AnyJson = string | number | boolean | null | AnyJson[] | { [key: string]: AnyJson };

/** Numbers are kept out of the list of other values, for sizes are where harm is done. */
const ABSURD_NUMBERS: readonly number[] = [0, -1, 1, 2, 3, 7, 0.5, -0.5, 1e-300, 1000, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2e9]
  .concat([2 ** 53, 2 ** 53 + 2, 1e18, 1e308, -1e308, -(2 ** 31)]);
const ABSURD_VALUES: readonly AnyJson[] = [null, true, false, "", "0", "float32", "../../x", "{{ x }}", "\ud800", "__proto__", [], {}, [[]]]
  .concat([["a"], [1, 2], { __proto__: null } as AnyJson, { class_name: "X", config: {} }, "x".repeat(5000)]);

/** A place in a JSON value: what holds it, and its key there. */
interface Place {
  readonly parent: { [key: string]: AnyJson } | AnyJson[];
  readonly key: string;
}

function places(value: AnyJson): Place[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [{ parent: value, key }, ...places(member)]);
}

function set(parent: object, key: string, value: AnyJson): void {
  Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true });
}

/** A copy, as what is put into a value may be damaged in its turn, or put into itself. */
const absurdValue = (draws: Draws): AnyJson => structuredClone(draws.of(ABSURD_VALUES));

/** A damaged copy of a JSON value: one to three values replaced, swapped, removed, renamed, doubled or wrapped. */
export function damagedJson(original: AnyJson, draws: Draws): AnyJson {
  const root: { value: AnyJson } = { value: structuredClone(original) };
  for (let times = draws.of([1, 1, 1, 2, 3]); times > 0; times--) {
    const all = places(root);
    const { parent, key } = draws.of(all);
    const container = parent as Record<string, AnyJson>;
    const other = draws.of(all);
    switch (draws.below(8)) {
      case 0:
        set(container, key, draws.of(ABSURD_NUMBERS));
        break;
      case 1:
        set(container, key, absurdValue(draws));
        break;
      case 2: // another value of the same file: the right kind in the wrong place
        set(container, key, structuredClone((other.parent as Record<string, AnyJson>)[other.key]));
        break;
      case 3: // a number where there is one
        set(container, key, typeof container[key] === "number" ? draws.of(ABSURD_NUMBERS) : absurdValue(draws));
        break;
      case 4:
        if (parent === root) break;
        if (Array.isArray(parent)) parent.splice(Number(key), 1);
        else delete container[key];
        break;
      case 5: // a key renamed, or taken from elsewhere
        if (parent === root || Array.isArray(parent)) break;
        set(container, draws.of([`${key}x`, key.slice(1), other.key, "__proto__", "constructor", "toString"]), container[key]);
        delete container[key];
        break;
      case 6:
        set(
          container,
          key,
          draws.of<AnyJson>([[container[key]], { value: container[key] }, [container[key], structuredClone(container[key])]]),
        );
        break;
      case 7: { // deep
        let deep = container[key];
        for (let i = draws.of([3, 70, 3000]); i > 0; i--) deep = i % 2 === 0 ? [deep] : { a: deep };
        set(container, key, deep);
        return root.value;
      }
    }
  }
  return root.value;
}

/** What an expression may be replaced by, or a name in it. */
const ABSURD_EXPRESSIONS: readonly string[] = [
  "toString",
  "constructor",
  "__proto__",
  "10 ** 400",
  "1 / 0",
  "0 / 0",
  "range(100000000)",
  "-1",
]
  .concat([
    "2 ** 31",
    "2 ** 60",
    "'x' * 10",
    "''.constructor",
    "[].constructor",
    "range",
    "min()",
    "none",
    "true",
    "'x'",
    "[[1]]",
    "{}",
    "x | indent",
  ])
  .concat([
    "('x' * 9) | list",
    "(".repeat(900),
    "1 + ".repeat(450) + "1",
    "not ".repeat(400) + "true",
    "[".repeat(900),
    "{{ 1",
    "1 }}",
    "{% if",
  ]);

/** A damaged copy of a JSON value in which one expression is replaced, or a part of it; values where there is no expression. */
export function damagedExpression(original: AnyJson, draws: Draws): AnyJson {
  const root: { value: AnyJson } = { value: structuredClone(original) };
  const all = places(root).filter(({ parent, key }) => {
    const value = (parent as Record<string, AnyJson>)[key];
    return typeof value === "string" && value.includes("{{");
  });
  if (all.length === 0) return damagedJson(original, draws);
  const { parent, key } = draws.of(all);
  const text = (parent as Record<string, string>)[key];
  const words = [...text.matchAll(/[A-Za-z_]\w*|\d+/g)];
  const word = words.length > 0 ? draws.of(words) : undefined;
  const other = draws.of(ABSURD_EXPRESSIONS);
  const changed = word && draws.below(3) > 0
    ? text.slice(0, word.index) + other + text.slice(word.index + word[0].length)
    : draws.below(2) === 0
    ? `{{ ${other} }}`
    : text.slice(0, draws.below(text.length));
  set(parent, key, changed);
  return root.value;
}

/** JSON text of a value that may be deeper than `JSON.stringify` can go. */
export function jsonText(value: AnyJson): string {
  const parts: string[] = [];
  const open: (AnyJson | Text)[] = [value];
  const isText = (item: unknown): item is Text => item instanceof Text;
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    if (isText(item)) parts.push(item.text);
    else if (typeof item !== "object" || item === null) parts.push(JSON.stringify(item));
    else if (Array.isArray(item)) {
      parts.push("[");
      open.push(new Text("]"));
      for (let i = item.length - 1; i >= 0; i--) {
        open.push(item[i]);
        if (i > 0) open.push(new Text(","));
      }
    } else {
      parts.push("{");
      open.push(new Text("}"));
      const entries = Object.entries(item as Record<string, AnyJson>);
      for (let i = entries.length - 1; i >= 0; i--) {
        open.push(entries[i][1], new Text(`${i > 0 ? "," : ""}${JSON.stringify(entries[i][0])}:`));
      }
    }
  }
  return parts.join("");
}

class Text {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Writes a file in the place of another: one that is truncated instead is written out to the disk by some file systems, which takes milliseconds. */
export function replaceFile(path: string, bytes: Uint8Array | string): void {
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
}

/** How the mutations of one fixture went. */
export interface Outcome {
  loaded: number;
  /** How often each code was thrown. */
  readonly codes: Map<string, number>;
}

/** Longer messages would be a page in a terminal. */
const MESSAGE_LIMIT = 4000;

/**
 * Runs what must either load or throw the project's own error, with its code and its place; `where` must be in the place.
 *
 * `label` tells which mutation it was, so that a failure can be made again.
 */
export async function loadOrRefuse(outcome: Outcome, label: string, where: string, load: () => unknown): Promise<void> {
  tidy();
  try {
    await load();
    outcome.loaded++;
  } catch (error) {
    assert.ok(error instanceof OnnxHubError, `${label}: ${error instanceof Error ? error.stack : String(error)}`);
    const { code, path, message } = error;
    assert.match(code, /^[a-z]+\/[a-z0-9-]+$/, `${label}: ${message}`);
    assert.ok(!code.startsWith("internal/"), `${label}: ${message}`);
    assert.ok(path && path.includes(where), `${label}: no place ${where} in ${path}: ${message}`);
    assert.ok(message.length <= MESSAGE_LIMIT, `${label}: a message of ${message.length} characters: ${message.slice(0, 500)}`);
    assert.doesNotMatch(message, /\[object |(found|expected) undefined|Cannot read prop/, `${label}: ${message}`);
    outcome.codes.set(code, (outcome.codes.get(code) ?? 0) + 1);
  }
}

/** Bun's collector, which leaves garbage lying for gigabytes unless it is told; undefined on Deno. */
const collect = (globalThis as { Bun?: { gc(force: boolean): void } }).Bun?.gc;

let tried = 0;

/** Collects garbage now and then where the runtime does not by itself. */
function tidy(): void {
  if (++tried % 200 === 0) collect?.(true);
}

/** Fails where the process has grown beyond what a few small files account for, garbage aside. */
export function boundedMemory(before: number, limit = 768 * 2 ** 20): void {
  collect?.(true);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < limit, `the process grew by ${grown} bytes`);
}

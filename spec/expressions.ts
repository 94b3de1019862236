/** Jinja expressions with typed results: parsed once, names checked from the syntax tree, evaluated in a scope. */

import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { nearest, OnnxHubError } from "../errors.ts";
import type { Json } from "./source.ts";

/** The names that an expression can use. */
export type Scope = Readonly<Record<string, Json>>;

/** Where a string stands, for messages. */
export interface Place {
  readonly file: string;
  /** The JSON path: `blocks.encoder.layers[2].rate`. */
  readonly path: string;
}

/** `file: path`, as errors say it. */
export function where({ file, path }: Place): string {
  return path === "" ? file : `${file}: ${path}`;
}

/** The longest list that `range` gives. */
const RANGE_LIMIT = 10_000;

/** The longest text with expressions: several times what anybody writes, and short enough for the parser's recursion. */
const TEMPLATE_LIMIT = 2_000;

/** The most characters and items in one value: lets that double what is before them would fill any memory. */
const VALUE_LIMIT = 100_000;

type Numeric = (...numbers: number[]) => unknown;

/** The functions that expressions can call. */
export const functions: Readonly<Record<string, Numeric>> = {
  min: (...numbers) => Math.min(...finite("min", numbers)),
  max: (...numbers) => Math.max(...finite("max", numbers)),
  abs: (x) => Math.abs(x),
  round: (x, digits = 0) => Math.round(x * 10 ** digits) / 10 ** digits,
  range: (start, stop, step) => boundedRange(start, stop, step),
  /** Keras' numbering of names: "" for the first, then "_1", "_2", … */
  suffix: (i) => i === 0 ? "" : `_${i}`,
};

const CONSTANTS: Scope = { true: true, True: true, false: false, False: false, none: null, None: null, null: null };

/** Names that a config entry, a parameter or a count cannot have. */
export const reservedNames: ReadonlySet<string> = new Set(["name", "backbone", ...Object.keys(functions), ...Object.keys(CONSTANTS)]);

/** The part of jinja's syntax tree that is looked at here. */
interface SyntaxNode {
  readonly type: string;
  readonly value?: unknown;
  readonly [key: string]: unknown;
}

interface Parsed {
  readonly body: readonly SyntaxNode[];
  /** The expression, where the string is exactly one. */
  readonly single: SyntaxNode | null;
  readonly names: readonly string[];
}

const cache = new Map<string, Parsed>();

/** Whether a string contains an expression at all. */
export function isTemplate(text: string): boolean {
  return text.includes("{{") || text.includes("{%");
}

/** Whether a string is exactly one expression, so that its value has the expression's type. */
export function isExpression(value: unknown): value is string {
  return typeof value === "string" && value.startsWith("{{") && value.endsWith("}}") && value.indexOf("{{", 2) < 0;
}

/** The names that the expressions in a string use. */
export function namesIn(text: string, place: Place): readonly string[] {
  return isTemplate(text) ? parseTemplate(text, place).names : [];
}

/** Parses a template, and checks that every name in it is known; throws "spec/expression" or "spec/unknown-name" errors. */
export function checkNames(text: string, known: Iterable<string>, place: Place): void {
  const scope = new Set(known);
  for (const name of parseTemplate(text, place).names) {
    if (!scope.has(name) && !isGiven(name)) throw unknownName(name, text, scope, place);
  }
}

/** Whether a name can be used everywhere. */
function isGiven(name: string): boolean {
  return Object.hasOwn(functions, name) || Object.hasOwn(CONSTANTS, name);
}

function unknownName(name: string, text: string, known: Iterable<string>, place: Place): OnnxHubError {
  const guess = nearest(name, [...known, ...Object.keys(functions)]);
  return new OnnxHubError("spec/unknown-name", `Unknown name \`${name}\` in the expression \`${text}\``, {
    path: where(place),
    expected: `one of ${[...known].join(", ")}`,
    remedy: guess ? `Did you mean \`${guess}\`?` : "Declare it under `config` or `let`.",
  });
}

/**
 * The value of a string: of the expression's own type where it is exactly one `{{ … }}`, else the text with the values
 * put in. Text without expressions is itself.
 *
 * Integers stay integers under `+ - * // % **`; `/` divides exactly. Throws "spec/unknown-name", "spec/expression".
 */
export function evaluate(text: string, scope: Scope, place: Place): Json {
  if (!isTemplate(text)) return text;
  const { body, single, names } = parseTemplate(text, place);
  for (const name of names) {
    if (!Object.hasOwn(scope, name) && !isGiven(name)) throw unknownName(name, text, Object.keys(scope), place);
  }
  let environment: Environment | undefined;
  const valueOf = (node: SyntaxNode): Json => {
    // Most expressions are one name of a number or a word: its value is what the interpreter would give.
    const named = node.type === "Identifier" && Object.hasOwn(scope, String(node.value)) ? scope[String(node.value)] : undefined;
    if (Number.isFinite(named) || (typeof named === "string" && named.length < VALUE_LIMIT)) return named as Json;
    environment ??= environmentOf(names, scope);
    try {
      return toJson(new Interpreter(environment).evaluate(node as never, environment) as RuntimeValue, { left: VALUE_LIMIT });
    } catch (cause) {
      throw new OnnxHubError("spec/expression", `The expression \`${text}\` cannot be evaluated`, {
        path: where(place),
        found: reason(cause),
        cause,
      });
    }
  };
  if (single) return valueOf(single);
  return body.map((node) => node.type === "StringLiteral" ? String(node.value) : String(valueOf(node))).join("");
}

function environmentOf(names: readonly string[], scope: Scope): Environment {
  const environment = new Environment();
  for (const name of names) {
    environment.set(name, Object.hasOwn(scope, name) ? scope[name] : Object.hasOwn(functions, name) ? functions[name] : CONSTANTS[name]);
  }
  return environment;
}

/** Evaluates every string of a JSON value. */
export function evaluateAll(value: Json, scope: Scope, place: Place): Json {
  if (typeof value === "string") return evaluate(value, scope, place);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item, i) => evaluateAll(item, scope, { ...place, path: `${place.path}[${i}]` }));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, evaluateAll(item, scope, { ...place, path: joinPath(place.path, key) })]),
  );
}

/** A JSON path with one more key. */
export function joinPath(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  if (!/^[A-Za-z_$][\w$-]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path ? `${path}.${key}` : key;
}

function parseTemplate(text: string, place: Place): Parsed {
  const known = cache.get(text);
  if (known) return known;
  if (text.includes("{%") || text.includes("{#")) {
    throw new OnnxHubError("spec/expression", "Only expressions are allowed here, no statements or comments", {
      path: where(place),
      found: JSON.stringify(text),
      remedy: "Write `{{ a if condition else b }}` for a condition, and `repeat` for a loop.",
    });
  }
  if (text.length > TEMPLATE_LIMIT) {
    throw new OnnxHubError("spec/expression", "An expression is too long", {
      path: where(place),
      expected: `at most ${TEMPLATE_LIMIT} characters`,
      found: `${text.length}`,
      remedy: "Put parts of it into `let`.",
    });
  }
  let body: SyntaxNode[];
  try {
    body = parse(tokenize(text)).body as unknown as SyntaxNode[];
  } catch (cause) {
    throw new OnnxHubError("spec/expression", "An expression has a syntax error", {
      path: where(place),
      // Where the text ends too early the parser reads on, past its end.
      found: `${JSON.stringify(text)} (${cause instanceof TypeError ? "it ends too early" : reason(cause)})`,
      remedy: /\de[-+]?\d/.test(text)
        ? "Numbers such as 1e-12 cannot stand in an expression: put them into `config` or `let` as JSON numbers."
        : undefined,
      cause,
    });
  }
  const names = new Set<string>();
  for (const node of body) if (node.type !== "StringLiteral" || isExpression(text)) collectNames(node, names);
  const parsed = { body, single: isExpression(text) && body.length === 1 ? body[0] : null, names: [...names] };
  cache.set(text, parsed);
  return parsed;
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Keys of a node that hold names of something else than a value in scope. */
const NOT_VALUES: Readonly<Record<string, readonly string[]>> = {
  FilterExpression: ["filter"],
  TestExpression: ["test"],
  KeywordArgumentExpression: ["key"],
};

function collectNames(node: unknown, names: Set<string>): void {
  if (Array.isArray(node)) { for (const item of node) collectNames(item, names); }
  if (node instanceof Map) { for (const [key, value] of node) collectNames([key, value], names); }
  if (node === null || typeof node !== "object" || !("type" in node)) return;
  const { type, ...rest } = node as SyntaxNode;
  if (type === "Identifier") {
    names.add(String(rest.value));
    return;
  }
  for (const [key, child] of Object.entries(rest)) {
    if (key === "operator" || (key === "property" && rest.computed === false)) continue; // a token, a key
    if (NOT_VALUES[type]?.includes(key)) collectNames((child as { args?: unknown }).args, names); // a filter's arguments are values
    else collectNames(child, names);
  }
}

interface RuntimeValue {
  readonly type: string;
  readonly value: unknown;
}

/** What a value is in JSON; `room` is how much more of it there may be. */
function toJson({ type, value }: RuntimeValue, room: { left: number }): Json {
  room.left -= type === "StringValue" ? (value as string).length + 1 : 1;
  if (room.left < 0) throw new RangeError(`the result is larger than ${VALUE_LIMIT} characters and items`);
  switch (type) {
    case "IntegerValue":
    case "FloatValue":
      if (!Number.isFinite(value)) throw new RangeError(`the result is ${value}, which is no finite number (a division by zero?)`);
      return value as number;
    case "StringValue":
    case "BooleanValue":
      return value as string | boolean;
    case "NullValue":
      return null;
    case "ArrayValue":
    case "TupleValue":
      return (value as RuntimeValue[]).map((item) => toJson(item, room));
    case "ObjectValue":
      return Object.fromEntries([...value as Map<string, RuntimeValue>].map(([key, item]) => [key, toJson(item, room)]));
    default:
      throw new TypeError(type === "UndefinedValue" ? "it has no value: a key that is not there" : `a ${type} is no value of JSON`);
  }
}

function finite(name: string, numbers: readonly number[]): readonly number[] {
  if (numbers.length === 0 || numbers.some((x) => !Number.isFinite(x))) throw new TypeError(`${name} takes numbers`);
  return numbers;
}

function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined || typeof stop !== "number" ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= RANGE_LIMIT)) throw new RangeError(`a range has at most ${RANGE_LIMIT} values`);
  return Array.from({ length }, (_, i) => from + i * step);
}

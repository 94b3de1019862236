/** Schemas that pick their alternative by looking at the input, so that a bad input gets one error and not one a branch. */

import * as v from "valibot";

/** Any schema. */
export type Schema = v.GenericSchema;

interface Dispatch {
  /** The name under `$defs` in the JSON Schema; null: written in place. */
  readonly name: string | null;
  readonly alternatives: () => readonly Schema[];
}

const dispatches = new WeakMap<object, Dispatch>();

/** A schema that is one of several, told apart by `pick`. */
export function dispatch(name: string | null, pick: (input: unknown) => Schema, alternatives: () => readonly Schema[]): Schema {
  const schema = v.lazy(pick);
  dispatches.set(schema, { name, alternatives });
  return schema;
}

/** What a schema made by {@linkcode dispatch} chooses from. */
export function dispatchOf(schema: object): Dispatch | undefined {
  return dispatches.get(schema);
}

/** An object without unknown keys; its error messages carry the keys that are known. */
export function object(entries: v.ObjectEntries): Schema {
  return v.strictObject(entries, Object.keys(entries).join(", "));
}

/** Whether the input is an object that has the key. */
export function has(input: unknown, key: string): boolean {
  return typeof input === "object" && input !== null && key in input;
}

/** The value of a key that the table itself has: every object has a `constructor`, and on some runtimes a `__proto__`. */
export function own<T>(table: Readonly<Record<string, T>>, key: unknown): T | undefined {
  return typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined;
}

/** How a spec that extends another is put together with it. */

import type { Json } from "./source.ts";

/** Objects are merged key by key, anything else is replaced; null takes a key away. Keys keep the order of `base`. */
export function merge(base: Json, extension: Json): Json {
  if (!isObject(base) || !isObject(extension)) return extension;
  const merged: Record<string, Json> = { ...base };
  for (const [key, value] of Object.entries(extension)) {
    if (value === null) delete merged[key];
    else merged[key] = Object.hasOwn(base, key) ? merge(base[key], value) : value;
  }
  return merged;
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

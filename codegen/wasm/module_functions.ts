/** Puts other functions in place of some in a finished WebAssembly module. */

import { type FunctionBody, unsigned } from "./assembler.ts";

/** Functions are known by their code: a changed module keeps none of them by accident. */
export interface KnownFunction {
  /** Bytes of the body, its size not included. */
  readonly size: number;
  /** FNV-1a, 32 bits, of the body. */
  readonly digest: number;
  /** What is called instead. `original` is the index that the function has from now on; the types are the same. */
  readonly replacement: (original: number) => FunctionBody;
}

/** Sections, by their ids (WebAssembly core specification, "Modules"). */
const SECTION = { import: 2, function: 3, code: 10 } as const;
/** Behind the magic number and the version. */
const FIRST_SECTION = 8;
/** Kinds of imports: a function has a type's index, a table a type and limits, a memory limits, a global two bytes, a tag two. */
const IMPORT = { function: 0, table: 1, memory: 2 } as const;

/** Reads a module from front to back. */
class Reader {
  constructor(readonly bytes: Uint8Array, public at = 0) {}

  byte(): number {
    return this.bytes[this.at++];
  }

  unsigned(): number {
    let value = 0;
    for (let unit = 1;; unit *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }

  skip(length: number): void {
    this.at += length;
  }

  limits(): void {
    const flags = this.byte();
    this.unsigned();
    if (flags & 1) this.unsigned();
  }
}

function digestOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** How many functions an import section brings; the reader stands at its beginning. */
function importedFunctions(reader: Reader): number {
  let functions = 0;
  for (let count = reader.unsigned(); count > 0; count--) {
    for (let name = 0; name < 2; name++) reader.skip(reader.unsigned());
    const kind = reader.byte();
    if (kind === IMPORT.function) {
      functions++;
      reader.unsigned();
    } else if (kind === IMPORT.table) {
      reader.byte();
      reader.limits();
    } else if (kind === IMPORT.memory) {
      reader.limits();
    } else {
      reader.byte();
      reader.unsigned();
    }
  }
  return functions;
}

/** Bytes that a section is put together from. */
type Chunks = (Uint8Array | number[])[];

function lengthOf(chunks: Chunks): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/**
 * The module with `functions` replaced, the first of each: it moves behind all others, so that what stands in its place can still call it. Null where one
 * of them is not there: then this is another module.
 */
export function replaceFunctions(module: Uint8Array, functions: readonly KnownFunction[]): Uint8Array<ArrayBuffer> | null {
  const output: Chunks = [module.subarray(0, FIRST_SECTION)];
  let imported = 0;
  let types: { readonly start: number; readonly end: number; readonly count: number } | null = null;
  /** Where the function section goes once it is known which functions are moved. */
  let place = 0;
  const reader = new Reader(module, FIRST_SECTION);
  while (reader.at < module.length) {
    const start = reader.at;
    const id = reader.byte();
    const size = reader.unsigned();
    const [first, end] = [reader.at, reader.at + size];
    if (id === SECTION.import) imported = importedFunctions(reader);
    if (id === SECTION.function) {
      types = { count: reader.unsigned(), start: reader.at, end };
      place = output.push([]) - 1;
    } else if (id === SECTION.code) {
      if (types === null) return null;
      const moved = moveFunctions(module, first, end, imported, functions);
      if (moved === null) return null;
      const list = module.subarray(types.start, types.end);
      const listed: Chunks = [unsigned(types.count + moved.indices.length), list, typesOf(list, moved.indices)];
      output[place] = [SECTION.function, ...unsigned(lengthOf(listed)), ...listed.flatMap((chunk) => [...chunk])];
      output.push([SECTION.code, ...unsigned(lengthOf(moved.code))], ...moved.code);
    } else {
      output.push(module.subarray(start, end));
    }
    reader.at = end;
  }
  const result = new Uint8Array(lengthOf(output));
  let at = 0;
  for (const chunk of output) {
    result.set(chunk, at);
    at += chunk.length;
  }
  return result;
}

/** The types' indices, encoded, of functions that a module has itself; these in ascending order. */
function typesOf(list: Uint8Array, indices: readonly number[]): number[] {
  const reader = new Reader(list);
  let next = 0;
  return indices.flatMap((index) => {
    while (next++ < index) reader.unsigned();
    return unsigned(reader.unsigned());
  });
}

/** A code section's contents with functions moved to its end, and which they were, counted without those imported. */
function moveFunctions(
  module: Uint8Array,
  first: number,
  last: number,
  imported: number,
  functions: readonly KnownFunction[],
): { readonly code: Chunks; readonly indices: readonly number[] } | null {
  const reader = new Reader(module, first);
  const count = reader.unsigned();
  const begin = reader.at;
  const missing = new Set(functions);
  const found: { readonly known: KnownFunction; readonly index: number; readonly start: number; readonly end: number }[] = [];
  for (let index = 0; index < count && missing.size > 0; index++) {
    const start = reader.at;
    const size = reader.unsigned();
    const [body, end] = [reader.at, reader.at + size];
    for (const known of missing) {
      if (known.size !== size || known.digest !== digestOf(module.subarray(body, end))) continue;
      missing.delete(known);
      found.push({ known, index, start, end });
    }
    reader.at = end;
  }
  if (missing.size > 0) return null;

  const code: Chunks = [unsigned(count + found.length)];
  let at = begin;
  found.forEach(({ known, start, end }, i) => {
    code.push(module.subarray(at, start), known.replacement(imported + count + i).finish());
    at = end;
  });
  code.push(module.subarray(at, last), ...found.map(({ start, end }) => module.subarray(start, end)));
  return { code, indices: found.map(({ index }) => index) };
}

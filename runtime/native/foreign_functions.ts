/** Functions of native libraries, called without an addon in between: by Deno's and Bun's interfaces for that. Node has none. */

import { createRequire } from "node:module";

/** What is handed over: an address (0 for none), a size, a 32-bit integer. */
export type ForeignType = "address" | "size" | "int";

/** What a function takes and gives. */
export interface ForeignSignature {
  readonly takes: readonly ForeignType[];
  readonly gives: "address" | "int" | "nothing";
}

/** A native function. All numbers are below 2^53. */
export type ForeignFunction = (...of: number[]) => number;

/** How native functions are reached. Addresses are numbers; nothing checks that they are right. */
export interface ForeignFunctions {
  /** A library's function of a name; throws where there is none. */
  named(file: string, name: string, signature: ForeignSignature): ForeignFunction;
  /** The function at an address. */
  at(address: number, signature: ForeignSignature): ForeignFunction;
  /** Where a buffer's bytes are, as long as it lives; 0 for an empty one. */
  addressOf(buffer: ArrayBufferLike): number;
  /** Memory that others own, as a buffer: nobody may touch it once they have freed it, unless it was detached before. */
  memory(address: number, length: number): ArrayBuffer;
  /** The text that begins at an address, UTF-8 and a zero. */
  text(address: number): string;
}

/** The runtime's interface; null where it has none. */
export function foreignFunctions(): ForeignFunctions | null {
  const { Deno } = globalThis as { readonly Deno?: Partial<DenoInterface> };
  if (Deno?.dlopen && Deno.UnsafePointer && Deno.UnsafePointerView && Deno.UnsafeFnPointer) return inDeno(Deno as DenoInterface);
  return "Bun" in globalThis ? inBun(createRequire(import.meta.url)("bun:ffi") as BunInterface) : null;
}

type Pointer = object | null;

interface DenoSignature {
  readonly parameters: readonly string[];
  readonly result: string;
}

type DenoFunction = (...of: number[]) => bigint | number | undefined;

/** What of Deno's interface is used: https://docs.deno.com/api/deno/ffi. */
interface DenoInterface {
  dlopen(file: string, symbols: Readonly<Record<string, DenoSignature>>): { readonly symbols: Readonly<Record<string, DenoFunction>> };
  readonly UnsafePointer: {
    of(data: ArrayBuffer | Uint8Array): Pointer;
    value(pointer: Pointer): bigint;
    create(address: bigint): Pointer;
  };
  readonly UnsafePointerView: { getArrayBuffer(pointer: Pointer, length: number): ArrayBuffer; getCString(pointer: Pointer): string };
  readonly UnsafeFnPointer: new (pointer: Pointer, signature: DenoSignature) => { readonly call: DenoFunction };
}

function inDeno({ dlopen, UnsafePointer, UnsafePointerView, UnsafeFnPointer }: DenoInterface): ForeignFunctions {
  const types = { address: "usize", size: "usize", int: "i32", nothing: "void" } as const;
  const inItsWords = ({ takes, gives }: ForeignSignature) => ({ parameters: takes.map((type) => types[type]), result: types[gives] });
  const pointer = (address: number): Pointer => UnsafePointer.create(BigInt(address));
  return {
    named(file, name, signature) {
      const found = dlopen(file, { [name]: inItsWords(signature) }).symbols[name];
      return (...of) => Number(found(...of));
    },
    at(address, signature) {
      const found = new UnsafeFnPointer(pointer(address), inItsWords(signature));
      return (...of) => Number(found.call(...of));
    },
    // Of shared memory it takes views alone.
    addressOf: (buffer) => Number(UnsafePointer.value(UnsafePointer.of(new Uint8Array(buffer as ArrayBuffer)))),
    memory: (address, length) => length === 0 ? new ArrayBuffer(0) : UnsafePointerView.getArrayBuffer(pointer(address), length),
    text: (address) => UnsafePointerView.getCString(pointer(address)),
  };
}

interface BunSignature {
  readonly args: readonly string[];
  readonly returns: string;
}

type BunFunction = (...of: number[]) => number | null | undefined;

/** What of Bun's interface is used: https://bun.sh/docs/api/ffi. */
interface BunInterface {
  dlopen(file: string, symbols: Readonly<Record<string, BunSignature>>): { readonly symbols: Readonly<Record<string, BunFunction>> };
  CFunction(of: BunSignature & { readonly ptr: number }): BunFunction;
  ptr(buffer: ArrayBufferLike): number;
  toArrayBuffer(address: number, offset: number, length: number): ArrayBuffer;
  readonly CString: new (address: number) => { toString(): string };
}

function inBun({ dlopen, CFunction, ptr, toArrayBuffer, CString }: BunInterface): ForeignFunctions {
  const types = { address: "ptr", size: "u64_fast", int: "i32", nothing: "void" } as const;
  const inItsWords = ({ takes, gives }: ForeignSignature) => ({ args: takes.map((type) => types[type]), returns: types[gives] });
  return {
    named(file, name, signature) {
      const found = dlopen(file, { [name]: inItsWords(signature) }).symbols[name];
      return (...of) => found(...of) ?? 0;
    },
    at(address, signature) {
      const found = CFunction({ ptr: address, ...inItsWords(signature) });
      return (...of) => found(...of) ?? 0;
    },
    // It refuses empty ones.
    addressOf: (buffer) => buffer.byteLength === 0 ? 0 : ptr(buffer),
    memory: (address, length) => length === 0 ? new ArrayBuffer(0) : toArrayBuffer(address, 0, length),
    text: (address) => new CString(address).toString(),
  };
}

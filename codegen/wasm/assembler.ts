/** WebAssembly's binary format, as far as kernels need it: an assembler for one module of functions over vectors. */

/** Types of values. */
export const wasmType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

/** Plain instructions (WebAssembly core specification, "Instructions"). */
export const op = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br_if: 0x0d,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,
  call: 0x10,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  f32Load: 0x2a,
  f64Store: 0x39,
  i32Const: 0x41,
  i32Eqz: 0x45,
  i32Ne: 0x47,
  i32LtU: 0x49,
  i32GeU: 0x4f,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32And: 0x71,
  i32Shl: 0x74,
  f64Add: 0xa0,
  f32DemoteF64: 0xb6,
  f64PromoteF32: 0xbb,
} as const;

/** Vector instructions, behind the prefix 0xfd. */
export const simd = {
  v128Load: 0x00,
  v128Load32Splat: 0x09,
  v128Store: 0x0b,
  v128Const: 0x0c,
  i8x16Shuffle: 0x0d,
  i32x4Splat: 0x11,
  f32x4Splat: 0x13,
  f32x4ExtractLane: 0x1f,
  f32x4ReplaceLane: 0x20,
  f64x2ExtractLane: 0x21,
  i32x4LtS: 0x39,
  i32x4GeU: 0x40,
  f32x4Eq: 0x41,
  f32x4Lt: 0x43,
  f32x4Gt: 0x44,
  f32x4Le: 0x45,
  f32x4Ge: 0x46,
  v128Not: 0x4d,
  v128And: 0x4e,
  v128Or: 0x50,
  v128Xor: 0x51,
  v128Bitselect: 0x52,
  v128AnyTrue: 0x53,
  f64x2PromoteLowF32x4: 0x5f,
  f32x4Ceil: 0x67,
  f32x4Floor: 0x68,
  f32x4Nearest: 0x6a,
  i32x4ShrS: 0xac,
  i32x4ShrU: 0xad,
  i32x4Add: 0xae,
  i32x4Sub: 0xb1,
  i32x4Mul: 0xb5,
  f32x4Abs: 0xe0,
  f32x4Neg: 0xe1,
  f32x4Sqrt: 0xe3,
  f32x4Add: 0xe4,
  f32x4Sub: 0xe5,
  f32x4Mul: 0xe6,
  f32x4Div: 0xe7,
  f32x4Min: 0xe8,
  f32x4Max: 0xe9,
  f32x4Pmin: 0xea,
  f32x4Pmax: 0xeb,
  f64x2Add: 0xf0,
  f32x4ConvertI32x4S: 0xfa,
  f32x4RelaxedMadd: 0x105,
} as const;

/** A name of a vector instruction. */
export type SimdName = keyof typeof simd;

/** The type of a block that takes and leaves nothing. */
const EMPTY = 0x40;

/** An unsigned number in LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    const low = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? low | 0x80 : low);
  } while (value > 0);
  return bytes;
}

/** A signed number in LEB128. */
export function signed(value: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    const done = (value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

/** The bits of a number in float32, as a 32-bit integer. */
export function float32Bits(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0];
}

function text(name: string): number[] {
  const bytes = [...new TextEncoder().encode(name)];
  return [...unsigned(bytes.length), ...bytes];
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function section(id: number, body: readonly number[]): number[] {
  return [id, ...unsigned(body.length), ...body];
}

/** One function's body under construction. Parameters are the first locals. */
export class FunctionBody {
  readonly #code: number[] = [];
  readonly #locals: number[] = [];

  /** A body for a function of so many parameters. */
  constructor(readonly parameters: number) {}

  /** A new local of a type. */
  local(type: number): number {
    this.#locals.push(type);
    return this.parameters + this.#locals.length - 1;
  }

  /** Appends instruction bytes. */
  emit(...bytes: readonly number[]): this {
    for (const byte of bytes) this.#code.push(byte);
    return this;
  }

  /** Pushes a local. */
  get(local: number): this {
    return this.emit(op.localGet, ...unsigned(local));
  }

  /** Pops into a local. */
  set(local: number): this {
    return this.emit(op.localSet, ...unsigned(local));
  }

  /** Pops into a local, and pushes what it holds. */
  tee(local: number): this {
    return this.emit(op.localTee, ...unsigned(local));
  }

  /** Runs `body` again and again while the i32 that it leaves is not 0, once at least. */
  repeat(body: () => void): this {
    this.emit(op.loop, EMPTY);
    body();
    return this.emit(op.br_if, 0, op.end);
  }

  /** Pops an i32, and runs `body` where it is not 0. */
  when(body: () => void): this {
    this.emit(op.if, EMPTY);
    body();
    return this.emit(op.end);
  }

  /** A vector instruction with its immediate bytes. */
  vector(name: SimdName, ...immediate: readonly number[]): this {
    return this.emit(0xfd, ...unsigned(simd[name]), ...immediate);
  }

  /** An i32 constant. */
  i32(value: number): this {
    return this.emit(op.i32Const, ...signed(value));
  }

  /** A vector of four times a 32-bit integer, or the bits of a number. */
  fourOf(bits: number): this {
    const bytes = new Uint8Array(Int32Array.of(bits).buffer);
    return this.vector("v128Const", ...bytes, ...bytes, ...bytes, ...bytes);
  }

  /** The encoded body. */
  finish(): number[] {
    const locals = list(this.#locals.map((type) => [1, type]));
    const body = [...locals, ...this.#code, op.end];
    return [...unsigned(body.length), ...body];
  }
}

/** A function that the module takes from outside: f64 parameters, one f64 result. */
export interface ImportedFunction {
  readonly name: string;
  readonly parameters: number;
}

/** An exported function: i32 parameters, no result. */
export interface ExportedFunction {
  readonly name: string;
  readonly body: FunctionBody;
}

/** The greatest number of 64 KiB pages that a memory can have. */
const MOST_PAGES = 65536;

/** The immediate bytes of an access to 32 bits or more in a module's second memory (WebAssembly 3.0, "multiple memories"). */
export const IN_HEAP: readonly number[] = [2 | 0x40, 1, 0];

/**
 * Encodes a module: functions imported from the module "lane", a memory imported as "memory" from the module "kernel", which is a shared one or
 * isn't, with `heap` a second, shared one imported as "heap", and exported functions.
 */
export function encodeModule(
  imports: readonly ImportedFunction[],
  functions: readonly ExportedFunction[],
  shared: boolean,
  heap = false,
): Uint8Array<ArrayBuffer> {
  const types = [
    ...imports.map(({ parameters }) => [0x60, ...list(Array(parameters).fill([wasmType.f64])), 1, wasmType.f64]),
    ...functions.map(({ body }) => [0x60, ...list(Array(body.parameters).fill([wasmType.i32])), 0]),
  ];
  const sharedLimits = [3, 1, ...unsigned(MOST_PAGES)];
  const memory = [...text("kernel"), ...text("memory"), 2, ...shared ? sharedLimits : [0, 1]];
  const memories = heap ? [memory, [...text("kernel"), ...text("heap"), 2, ...sharedLimits]] : [memory];
  const lanes = imports.map(({ name }, i) => [...text("lane"), ...text(name), 0, ...unsigned(i)]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, list(types)),
    ...section(2, list([...lanes, ...memories])),
    ...section(3, list(functions.map((_, i) => unsigned(imports.length + i)))),
    ...section(7, list(functions.map(({ name }, i) => [...text(name), 0, ...unsigned(imports.length + i)]))),
    ...section(10, list(functions.map(({ body }) => body.finish()))),
  ]);
}

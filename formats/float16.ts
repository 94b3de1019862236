/** Conversions between float32 and the two 16-bit floating-point formats. */

/** The float32 of every float16, by its bits: built once, 256 KiB. */
let halves: Float32Array<ArrayBuffer> | undefined;

function table(): Float32Array<ArrayBuffer> {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) halves[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) halves[bits] = sign * fraction * 2 ** -24;
    else halves[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return halves;
}

/** Writes float16 values, given as their bits, as float32 from `offset` of `into` on. Exact. */
export function float16ToFloat32(bits: Uint16Array, into: Float32Array | Float64Array, offset = 0): void {
  const values = table();
  for (let i = 0; i < bits.length; i++) into[offset + i] = values[bits[i]];
}

const word = new Uint32Array(1);
const number = new Float32Array(word.buffer);

/** Writes bfloat16 values, given as their bits, as float32 from `offset` of `into` on. Exact. */
export function bfloat16ToFloat32(bits: Uint16Array, into: Float32Array | Float64Array, offset = 0): void {
  if (into instanceof Float32Array) {
    const words = new Uint32Array(into.buffer, into.byteOffset, into.length);
    for (let i = 0; i < bits.length; i++) words[offset + i] = bits[i] << 16;
    return;
  }
  for (let i = 0; i < bits.length; i++) {
    word[0] = bits[i] << 16;
    into[offset + i] = number[0];
  }
}

/** The bits of float32 values rounded to bfloat16: nearest, ties to even, as Keras and PyTorch round. */
export function float32ToBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(values.length);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const w = words[i];
    // A NaN must stay one: rounding could carry it into infinity.
    if ((w & 0x7fffffff) > 0x7f800000) bits[i] = (w >>> 16) | 0x40;
    else bits[i] = (w + 0x7fff + ((w >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The bits of float32 values rounded to float16: nearest, ties to even; what is too large becomes an infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(values.length);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = half(words[i]);
  return bits;
}

/** A float16's bits from a float32's. */
function half(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const size = word & 0x7fffffff;
  if (size > 0x7f800000) return 0x7e00; // not a number
  if (size >= 0x47800000) return sign | 0x7c00; // 65536 and beyond
  const exponent = (size >>> 23) - 112;
  // A fraction that rounds up to the next power of two carries into the exponent, as it should; from 65520 on that gives infinity.
  if (exponent > 0) return sign | rounded(size - 0x38000000, 13);
  // Below the normal range steps are 2^-24 wide; half a step and less becomes zero.
  return exponent < -10 ? sign : sign | rounded((size & 0x7fffff) | 0x800000, 14 - exponent);
}

/** Without its last `shift` bits, rounded to nearest, ties to even. */
function rounded(bits: number, shift: number): number {
  const floor = bits >>> shift;
  const rest = bits & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && (floor & 1) === 1) ? floor + 1 : floor;
}

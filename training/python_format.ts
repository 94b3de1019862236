/** Numbers printed as Python prints them: `%.4f`, `%.4e`, `%02d` and `repr`, rounded half to even on the exact binary value. */

/**
 * Python's `'%.{digits}f' % value`.
 *
 * JavaScript's `toFixed` rounds ties away from zero and turns to exponents at 1e21; Python does neither.
 */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  const scaled = roundedQuotient(value, digits);
  return sign(value) + pointed(scaled, digits);
}

/** Python's `'%.{digits}e' % value`. */
export function exponential(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  if (value === 0) return `${sign(value)}${pointed(0n, digits)}e+00`;
  let exponent = Number(/e([+-]\d+)$/.exec(value.toExponential(20))![1]);
  let scaled = roundedQuotient(value, digits - exponent);
  if (scaled.toString().length > digits + 1) scaled = roundedQuotient(value, digits - ++exponent);
  return `${sign(value)}${pointed(scaled, digits)}e${exponentText(exponent)}`;
}

/** Python's `repr` of a float: the shortest digits that read back as the same number, always with a point or an exponent. */
export function floatRepr(value: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  if (value === 0) return `${sign(value)}0.0`;
  const [mantissa, power] = Math.abs(value).toExponential().split("e");
  const exponent = Number(power);
  const digits = mantissa.replace(".", "");
  if (exponent < -4 || exponent >= 16) return `${sign(value)}${mantissa}e${exponentText(exponent)}`;
  if (exponent < 0) return `${sign(value)}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign(value)}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/** Python's `'%{width}d' % value`, with zeros in front where `zeros` is set; a fraction is cut off. */
export function integer(value: number, width = 0, zeros = false): string {
  const text = BigInt(Math.trunc(value)).toString();
  if (!zeros) return text.padStart(width);
  return text.startsWith("-") ? `-${text.slice(1).padStart(width - 1, "0")}` : text.padStart(width, "0");
}

/** A format after a colon in a replacement field: sign of zeros, width, precision, kind. */
const FIELD = /^(0?)(\d*)(?:\.(\d+))?([dfeg]?)$/;

/**
 * Python's `format(value, spec)` for the kinds that file names use: `02d`, `.2f`, `06.3f`, `.3e` and none.
 *
 * Returns undefined for a spec that is none of these, and for `d` of a fraction, which Python refuses too.
 */
export function formatField(value: number, spec: string): string | undefined {
  const match = FIELD.exec(spec);
  if (!match || match[4] === "g") return undefined;
  const [, zeros, width, precision, kind] = match;
  let text: string;
  if (kind === "f") text = fixed(value, Number(precision ?? 6));
  else if (kind === "e") text = exponential(value, Number(precision ?? 6));
  else if (precision !== undefined) return undefined;
  else if (Number.isInteger(value)) text = integer(value);
  else if (kind === "d") return undefined;
  else text = floatRepr(value);
  if (!zeros) return text.padStart(Number(width));
  const negative = text.startsWith("-");
  return negative ? `-${text.slice(1).padStart(Number(width) - 1, "0")}` : text.padStart(Number(width), "0");
}

/** Thousands apart by commas, as Python's `'{:,}'`. */
export function thousands(value: number): string {
  return integer(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function notFinite(value: number): string {
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

function sign(value: number): string {
  return value < 0 || Object.is(value, -0) ? "-" : "";
}

function exponentText(exponent: number): string {
  return (exponent < 0 ? "-" : "+") + String(Math.abs(exponent)).padStart(2, "0");
}

function pointed(scaled: bigint, digits: number): string {
  const text = scaled.toString().padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

const BITS = new DataView(new ArrayBuffer(8));

/** |value| · 10^power, rounded half to even, without any rounding before that one. */
function roundedQuotient(value: number, power: number): bigint {
  BITS.setFloat64(0, Math.abs(value));
  const bits = BITS.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & 0xfffffffffffffn;
  let numerator = biased === 0 ? fraction : fraction | 0x10000000000000n;
  const twos = (biased === 0 ? 1 : biased) - 1075;
  let denominator = 1n;
  if (twos >= 0) numerator <<= BigInt(twos);
  else denominator <<= BigInt(-twos);
  if (power >= 0) numerator *= 10n ** BigInt(power);
  else denominator *= 10n ** BigInt(-power);
  const quotient = numerator / denominator;
  const doubled = 2n * (numerator % denominator);
  if (doubled > denominator || (doubled === denominator && (quotient & 1n) === 1n)) return quotient + 1n;
  return quotient;
}

/** A WebAssembly module that draws initial values of weights: uniform, normal, and normal cut at two standard deviations. */

import { encodeModule, type ExportedFunction, float32Bits, FunctionBody, type SimdName, wasmType } from "./assembler.ts";
import { DRAW_PARAMETERS, drawEach } from "./draws.ts";

/** The parameters of a distribution, behind those of a draw: the bits of float32 numbers. */
const PARAMETERS = { ...DRAW_PARAMETERS, location: 5, scale: 6 } as const;

/** erf(√2): so much of a normal distribution lies within two standard deviations of its mean. */
const WITHIN_TWO = 0.9544997361036416;

/** Polynomials' coefficients, the one of the highest power first. */
const COEFFICIENTS = {
  /** erf⁻¹(x) / x by w = -log(1 - x²): of w - 2.5 where w < 5, else of √w - 3 (Giles, "Approximating the erfinv function", 2010, single precision). */
  erfinvCentral: [
    ...[2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087],
    ...[-0.00125372503, -0.00417768164, 0.246640727, 1.50140941],
  ],
  erfinvTails: [
    ...[-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773],
    ...[-0.0076224613, 0.00943887047, 1.00167406, 2.83297682],
  ],
  /** (log(1 + m) - m + m²/2) / m³ for 1 + m between √½ and √2 (Moshier, Cephes, `logf`). */
  log: [
    ...[7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1],
    ...[-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
  ],
} as const;
/** Where erf⁻¹'s polynomials stand in for each other, and the points that they are around. */
const [TAILS, CENTRE, CENTRE_OF_TAILS] = [5, 2.5, 3];
/** log 2 in two parts, the greater of which has few bits, so that its products with exponents are exact. */
const LOG_2 = [0.693359375, -2.12194440e-4] as const;
/** The bits of a significand. */
const SIGNIFICAND = 0x007fffff;

/** Emits arithmetic over vectors of four numbers. */
class Arithmetic {
  /** Bits of the numbers that it takes, with the locals that hold them. */
  readonly #constants = new Map<number, number | null>();

  /** Takes those numbers from locals that another took before: V8 makes a constant anew each time, which takes longer than to load it. */
  constructor(readonly body: FunctionBody, before?: Arithmetic) {
    if (!before) return;
    for (const bits of before.#constants.keys()) this.#constants.set(bits, this.hold(() => this.body.fourOf(bits)));
  }

  /** A local that holds what `push` pushes. */
  hold(push: () => unknown): number {
    const local = this.body.local(wasmType.v128);
    push();
    this.body.set(local);
    return local;
  }

  /** Pushes four times a 32-bit integer. */
  integer(bits: number): FunctionBody {
    const local = this.#constants.get(bits) ?? null;
    this.#constants.set(bits, local);
    return local === null ? this.body.fourOf(bits) : this.body.get(local);
  }

  /** Pushes four times a float32 number. */
  float(value: number): FunctionBody {
    return this.integer(float32Bits(value));
  }

  /** A local's value and a number, by an instruction. */
  by(name: SimdName, local: number, value: number): number {
    return this.hold(() => {
      this.body.get(local);
      this.float(value).vector(name);
    });
  }

  /** A polynomial of a local (Horner). Products and sums are rounded one by one: the same on every engine. */
  polynomial(x: number, coefficients: readonly number[]): number {
    return this.hold(() => {
      this.float(coefficients[0]);
      for (const coefficient of coefficients.slice(1)) {
        this.body.get(x).vector("f32x4Mul");
        this.float(coefficient).vector("f32x4Add");
      }
    });
  }

  /** -log of a local's positive normal number, by its exponent and a polynomial of the rest. */
  negativeLog(y: number): number {
    const { body } = this;
    // Bits above those of √½: the exponent changes at powers of two times √½, and the rest is between √½ and √2.
    const above = this.hold(() => {
      body.get(y);
      this.float(Math.SQRT1_2).vector("i32x4Sub");
    });
    const exponent = this.hold(() => body.get(above).i32(23).vector("i32x4ShrS").vector("f32x4ConvertI32x4S"));
    const m = this.hold(() => {
      body.get(above);
      this.integer(SIGNIFICAND).vector("v128And");
      this.float(Math.SQRT1_2).vector("i32x4Add");
      this.float(1).vector("f32x4Sub");
    });
    const square = this.hold(() => body.get(m).get(m).vector("f32x4Mul"));
    const rest = this.polynomial(m, COEFFICIENTS.log);
    return this.hold(() => {
      body.get(rest).get(m).vector("f32x4Mul").get(square).vector("f32x4Mul");
      body.get(exponent);
      this.float(LOG_2[1]).vector("f32x4Mul").vector("f32x4Add");
      body.get(square);
      this.float(0.5).vector("f32x4Mul").vector("f32x4Sub").get(m).vector("f32x4Add");
      body.get(exponent);
      this.float(LOG_2[0]).vector("f32x4Mul").vector("f32x4Add").vector("f32x4Neg");
    });
  }

  /** √2 · erf⁻¹ of a local: what a standard normal variable is below with probability (1 + x) / 2. Without tails, right for |x| < 0.996. */
  normalQuantile(x: number, tails: boolean): number {
    const { body } = this;
    const complement = this.hold(() => {
      this.float(1).get(x).vector("f32x4Sub");
      this.float(1).get(x).vector("f32x4Add").vector("f32x4Mul");
    });
    const w = this.negativeLog(complement);
    const quotient = this.polynomial(this.by("f32x4Sub", w, CENTRE), COEFFICIENTS.erfinvCentral);
    if (tails) {
      body.get(w);
      this.float(TAILS).vector("f32x4Ge").vector("v128AnyTrue").when(() => {
        const root = this.hold(() => body.get(w).vector("f32x4Sqrt"));
        const far = this.polynomial(this.by("f32x4Sub", root, CENTRE_OF_TAILS), COEFFICIENTS.erfinvTails);
        body.get(quotient).get(far).get(w);
        this.float(TAILS).vector("f32x4Lt").vector("v128Bitselect").set(quotient);
      });
    }
    return this.hold(() => {
      body.get(quotient).get(x).vector("f32x4Mul");
      this.float(Math.SQRT2).vector("f32x4Mul");
    });
  }
}

/** Standard values of four draws: what is pushed is scaled and shifted afterwards. */
type Standard = (arithmetic: Arithmetic, draws: number) => number;

/** Between -1 and 1, neither of which it is: a signed draw. */
function between(arithmetic: Arithmetic, draws: number): number {
  const most = 1 - 2 ** -24;
  const x = arithmetic.hold(() => {
    arithmetic.body.get(draws).vector("f32x4ConvertI32x4S");
    arithmetic.float(2 ** -31).vector("f32x4Mul");
  });
  return arithmetic.by("f32x4Pmax", arithmetic.by("f32x4Pmin", x, most), -most);
}

/** The distributions, by the names of their functions. */
const DISTRIBUTIONS: Readonly<Record<InitialDistribution, Standard>> = {
  // 24 bits: 1 isn't reached by rounding.
  uniform: (arithmetic, draws) =>
    arithmetic.hold(() => {
      arithmetic.body.get(draws).i32(8).vector("i32x4ShrU").vector("f32x4ConvertI32x4S");
      arithmetic.float(2 ** -24).vector("f32x4Mul");
    }),
  normal: (arithmetic, draws) => arithmetic.normalQuantile(between(arithmetic, draws), true),
  // Of all 2³² draws, none gives more than 1.9999994 in magnitude.
  truncatedNormal: (arithmetic, draws) =>
    arithmetic.normalQuantile(arithmetic.by("f32x4Mul", between(arithmetic, draws), WITHIN_TWO), false),
};

/** Uniform over [0, 1), standard normal, standard normal within [-2, 2]. */
export type InitialDistribution = "uniform" | "normal" | "truncatedNormal";

/**
 * The module. It imports the memory `kernel.memory` and exports a function for each distribution, `(address, count, index, key0, key1, location,
 * scale)`, which writes `count` float32 elements, 1 at least, to `address`, in whole vectors of 16 bytes: `location + scale · standard value` of the
 * stream's draw at `index` and the following. `location` and `scale` are the bits of float32 numbers.
 */
export function initialValuesModule(): Uint8Array<ArrayBuffer> {
  const functions = Object.entries(DISTRIBUTIONS).map(([name, standard]): ExportedFunction => {
    const body = new FunctionBody(Object.keys(PARAMETERS).length);
    const trial = new Arithmetic(new FunctionBody(body.parameters));
    standard(trial, PARAMETERS.address);
    const arithmetic = new Arithmetic(body, trial);
    const [location, scale] = [PARAMETERS.location, PARAMETERS.scale].map((bits) =>
      arithmetic.hold(() => body.get(bits).vector("i32x4Splat"))
    );
    drawEach(body, (draws) => body.get(standard(arithmetic, draws)).get(scale).vector("f32x4Mul").get(location).vector("f32x4Add"));
    return { name, body };
  });
  return encodeModule([], functions, false);
}

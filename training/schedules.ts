/** Learning-rate schedules, in float32 as Keras computes them. */

import { nearest, OnnxHubError } from "../errors.ts";
import { checkOptions } from "./callbacks/monitor_callback.ts";

const f32 = Math.fround;

/** A schedule's configuration, by Keras' names. */
export type ScheduleConfig = Readonly<Record<string, number | string | boolean | null | readonly number[]>>;

/** A learning rate that depends on the number of updates done so far. */
export abstract class LearningRateSchedule {
  /** Keras' class name. */
  abstract readonly className: string;
  /** The rate for the update after `step` updates, a float32. */
  abstract at(step: number): number;
  /** What makes the same schedule again, with Keras' argument names. */
  abstract getConfig(): ScheduleConfig;
}

/** What {@linkcode ExponentialDecay} and {@linkcode InverseTimeDecay} take. */
export interface DecayOptions {
  readonly initialLearningRate: number;
  /** Updates, above 0. */
  readonly decaySteps: number;
  readonly decayRate: number;
  /** Whether the rate stays for `decaySteps` updates each. Default: false. */
  readonly staircase?: boolean;
  /** Default: the class name. */
  readonly name?: string;
}

/** The part that the two have in common. */
abstract class Decay extends LearningRateSchedule {
  readonly options: Required<DecayOptions>;

  constructor(options: DecayOptions, className: string) {
    super();
    check(className, options, ["initialLearningRate", "decaySteps", "decayRate", "staircase", "name"]);
    this.options = { staircase: false, name: className, ...options };
  }

  /** Periods so far, whole ones on a staircase. */
  protected periods(step: number): number {
    const periods = f32(f32(step) / f32(this.options.decaySteps));
    return this.options.staircase ? Math.floor(periods) : periods;
  }

  /** Keras' names. */
  getConfig(): ScheduleConfig {
    const { initialLearningRate, decaySteps, decayRate, staircase, name } = this.options;
    return { initial_learning_rate: initialLearningRate, decay_steps: decaySteps, decay_rate: decayRate, staircase, name };
  }
}

/**
 * rate · decayRate^(step / decaySteps).
 *
 * @example
 * ```ts
 * import { optimizers } from "onnxhub";
 * const schedule = new optimizers.schedules.ExponentialDecay({ initialLearningRate: 1e-2, decaySteps: 5, decayRate: 0.9 });
 * console.log(schedule.at(5)); // 0.009, as a float32
 * ```
 */
export class ExponentialDecay extends Decay {
  readonly className = "ExponentialDecay";

  /** Throws "optimizer/schedule" for a wrong value, "training/unknown-option" for a wrong name. */
  constructor(options: DecayOptions) {
    super(options, "ExponentialDecay");
  }

  /** A float32. */
  at(step: number): number {
    return f32(f32(this.options.initialLearningRate) * f32(Math.pow(f32(this.options.decayRate), this.periods(step))));
  }
}

/** rate / (1 + decayRate · step / decaySteps). */
export class InverseTimeDecay extends Decay {
  readonly className = "InverseTimeDecay";

  /** Throws "optimizer/schedule" for a wrong value, "training/unknown-option" for a wrong name. */
  constructor(options: DecayOptions) {
    super(options, "InverseTimeDecay");
  }

  /** A float32. */
  at(step: number): number {
    const divisor = f32(1 + f32(f32(this.options.decayRate) * this.periods(step)));
    return f32(f32(this.options.initialLearningRate) / divisor);
  }
}

/** What {@linkcode PiecewiseConstantDecay} takes. */
export interface PiecewiseConstantDecayOptions {
  /** Updates, rising. */
  readonly boundaries: readonly number[];
  /** One more than boundaries: `values[i]` holds up to and with `boundaries[i]`. */
  readonly values: readonly number[];
  /** Default: "PiecewiseConstant". */
  readonly name?: string;
}

/** One value after the other. */
export class PiecewiseConstantDecay extends LearningRateSchedule {
  readonly className = "PiecewiseConstantDecay";
  readonly options: Required<PiecewiseConstantDecayOptions>;

  /** Throws "optimizer/schedule" for lists that don't fit, "training/unknown-option" for a wrong name. */
  constructor(options: PiecewiseConstantDecayOptions) {
    super();
    checkOptions("PiecewiseConstantDecay", options, ["boundaries", "values", "name"]);
    const { boundaries, values } = options;
    if (boundaries.length !== values.length - 1) {
      throw new OnnxHubError("optimizer/schedule", "The length of boundaries should be 1 less than the length of values", {
        path: "PiecewiseConstantDecay",
        expected: `${boundaries.length + 1} values for ${boundaries.length} boundaries`,
        found: String(values.length),
      });
    }
    const drop = boundaries.findIndex((boundary, i) => i > 0 && !(boundary > boundaries[i - 1]));
    if (drop >= 0) throw wrong("PiecewiseConstantDecay", `boundaries[${drop}]`, `more than ${boundaries[drop - 1]}`, boundaries[drop]);
    this.options = { name: "PiecewiseConstant", ...options };
  }

  /** A float32. */
  at(step: number): number {
    const { boundaries, values } = this.options;
    const index = boundaries.findIndex((boundary) => step <= boundary);
    return f32(values[index < 0 ? values.length - 1 : index]);
  }

  /** Keras' names. */
  getConfig(): ScheduleConfig {
    const { boundaries, values, name } = this.options;
    return { boundaries, values, name };
  }
}

/** What {@linkcode PolynomialDecay} takes. */
export interface PolynomialDecayOptions {
  readonly initialLearningRate: number;
  /** Updates, above 0. */
  readonly decaySteps: number;
  /** Default: 1e-4. */
  readonly endLearningRate?: number;
  /** Default: 1. */
  readonly power?: number;
  /** Whether to start again after `decaySteps`, over a longer and longer time. Default: false. */
  readonly cycle?: boolean;
  /** Default: "PolynomialDecay". */
  readonly name?: string;
}

/** (rate − end) · (1 − step / decaySteps)^power + end. */
export class PolynomialDecay extends LearningRateSchedule {
  readonly className = "PolynomialDecay";
  readonly options: Required<PolynomialDecayOptions>;

  /** Throws "optimizer/schedule" for a wrong value, "training/unknown-option" for a wrong name. */
  constructor(options: PolynomialDecayOptions) {
    super();
    check("PolynomialDecay", options, ["initialLearningRate", "decaySteps", "endLearningRate", "power", "cycle", "name"]);
    this.options = { endLearningRate: 1e-4, power: 1, cycle: false, name: "PolynomialDecay", ...options };
  }

  /** A float32. */
  at(step: number): number {
    const { initialLearningRate, decaySteps, endLearningRate, power, cycle } = this.options;
    let now = f32(step);
    let steps = f32(decaySteps);
    if (cycle) steps = f32(steps * (now === 0 ? 1 : Math.ceil(f32(now / steps))));
    else now = Math.min(now, steps);
    const left = f32(1 - f32(now / steps));
    const span = f32(f32(initialLearningRate) - f32(endLearningRate));
    return f32(f32(span * f32(Math.pow(left, f32(power)))) + f32(endLearningRate));
  }

  /** Keras' names. */
  getConfig(): ScheduleConfig {
    const { initialLearningRate, decaySteps, endLearningRate, power, cycle, name } = this.options;
    return { initial_learning_rate: initialLearningRate, decay_steps: decaySteps, end_learning_rate: endLearningRate, power, cycle, name };
  }
}

/** What {@linkcode CosineDecay} takes. */
export interface CosineDecayOptions {
  readonly initialLearningRate: number;
  /** Updates, above 0, after the warm-up. */
  readonly decaySteps: number;
  /** The lowest rate, as a part of the highest. Default: 0. */
  readonly alpha?: number;
  /** Default: "CosineDecay". */
  readonly name?: string;
  /** Where the warm-up leads from `initialLearningRate`, in a straight line. Default: null, no warm-up. */
  readonly warmupTarget?: number | null;
  /** Updates of warm-up. Default: 0. */
  readonly warmupSteps?: number;
}

/** Half a cosine from the highest rate to the lowest, after a linear warm-up (Loshchilov and Hutter, 2016; Goyal et al., 2017). */
export class CosineDecay extends LearningRateSchedule {
  readonly className = "CosineDecay";
  readonly options: Required<CosineDecayOptions>;

  /** Throws "optimizer/schedule" for a wrong value, "training/unknown-option" for a wrong name. */
  constructor(options: CosineDecayOptions) {
    super();
    check("CosineDecay", options, ["initialLearningRate", "decaySteps", "alpha", "name", "warmupTarget", "warmupSteps"]);
    this.options = { alpha: 0, name: "CosineDecay", warmupTarget: null, warmupSteps: 0, ...options };
  }

  /** A float32. */
  at(step: number): number {
    const { initialLearningRate, decaySteps, alpha, warmupTarget, warmupSteps } = this.options;
    const initial = f32(initialLearningRate);
    const steps = f32(decaySteps);
    if (warmupTarget === null) return decayed(initial, f32(Math.min(f32(step), steps) / steps), 0.5, alpha);
    const target = f32(warmupTarget);
    const warmup = f32(warmupSteps);
    const now = Math.min(f32(step), f32(steps + warmup));
    if (now < warmup) return f32(f32(f32(target - initial) * f32(now / warmup)) + initial);
    return decayed(target, f32(f32(now - warmup) / steps), 0.5, alpha);
  }

  /** Keras' names. */
  getConfig(): ScheduleConfig {
    const { initialLearningRate, decaySteps, alpha, name, warmupTarget, warmupSteps } = this.options;
    return {
      initial_learning_rate: initialLearningRate,
      decay_steps: decaySteps,
      alpha,
      name,
      warmup_target: warmupTarget,
      warmup_steps: warmupSteps,
    };
  }
}

/** What {@linkcode CosineDecayRestarts} takes. */
export interface CosineDecayRestartsOptions {
  readonly initialLearningRate: number;
  /** Updates of the first period, above 0. */
  readonly firstDecaySteps: number;
  /** How much longer each period is than the one before. Default: 2. */
  readonly tMul?: number;
  /** How high each period starts, as a part of the one before. Default: 1. */
  readonly mMul?: number;
  /** The lowest rate, as a part of the initial one. Default: 0. */
  readonly alpha?: number;
  /** Default: "SGDRDecay". */
  readonly name?: string;
}

/** Half a cosine again and again (Loshchilov and Hutter, 2016). */
export class CosineDecayRestarts extends LearningRateSchedule {
  readonly className = "CosineDecayRestarts";
  readonly options: Required<CosineDecayRestartsOptions>;

  /** Throws "optimizer/schedule" for a wrong value, "training/unknown-option" for a wrong name. */
  constructor(options: CosineDecayRestartsOptions) {
    super();
    check("CosineDecayRestarts", options, ["initialLearningRate", "firstDecaySteps", "tMul", "mMul", "alpha", "name"]);
    this.options = { tMul: 2, mMul: 1, alpha: 0, name: "SGDRDecay", ...options };
  }

  /** A float32. */
  at(step: number): number {
    const { initialLearningRate, firstDecaySteps, alpha } = this.options;
    const t = f32(this.options.tMul);
    const periods = f32(f32(step) / f32(firstDecaySteps));
    let restart = Math.floor(periods);
    let part = f32(periods - restart);
    if (t !== 1) { // the periods' lengths are a geometric series
      const rest = f32(1 - t);
      restart = Math.floor(f32(f32(Math.log(f32(1 - f32(periods * rest)))) / f32(Math.log(t))));
      const power = f32(Math.pow(t, restart));
      part = f32(f32(periods - f32(f32(1 - power) / rest)) / power);
    }
    return decayed(f32(initialLearningRate), part, f32(0.5 * f32(Math.pow(f32(this.options.mMul), restart))), f32(alpha));
  }

  /** Keras' names. */
  getConfig(): ScheduleConfig {
    const { initialLearningRate, firstDecaySteps, tMul, mMul, alpha, name } = this.options;
    return { initial_learning_rate: initialLearningRate, first_decay_steps: firstDecaySteps, t_mul: tMul, m_mul: mMul, alpha, name };
  }
}

/** rate · ((1 − alpha) · scale · (1 + cos(π · part)) + alpha). */
function decayed(rate: number, part: number, scale: number, alpha: number): number {
  const cosine = f32(scale * f32(1 + f32(Math.cos(f32(f32(Math.PI) * part)))));
  return f32(rate * f32(f32(f32(1 - alpha) * cosine) + f32(alpha)));
}

/** Numbers must be finite, and the count of updates above 0. */
function check(className: string, options: object, known: readonly string[]): void {
  checkOptions(className, options, known);
  const given = new Map<string, unknown>(Object.entries(options));
  for (const name of known) {
    const value = given.get(name);
    const steps = name === "decaySteps" || name === "firstDecaySteps";
    if (steps && !(typeof value === "number" && value > 0)) throw wrong(className, name, "a number above 0", value);
    const needed = steps || name === "initialLearningRate" || name === "decayRate";
    const number = typeof value === "number" ? Number.isFinite(value) : !needed;
    if (!number) throw wrong(className, name, "a finite number", value);
  }
}

function wrong(className: string, name: string, expected: string, found: unknown): OnnxHubError {
  return new OnnxHubError("optimizer/schedule", `Wrong value for \`${name}\``, {
    path: `${className}.${name}`,
    expected,
    found: String(found),
  });
}

const CLASSES = {
  ExponentialDecay,
  PiecewiseConstantDecay,
  PolynomialDecay,
  InverseTimeDecay,
  CosineDecay,
  CosineDecayRestarts,
} as const;

/**
 * The schedule of a Keras configuration, `{ class_name: "CosineDecay", config: { initial_learning_rate: 0.1, … } }`.
 *
 * Throws "optimizer/schedule" for an unknown class, "training/unknown-option" for an unknown argument.
 */
export function scheduleFromConfig(
  serialized: { readonly class_name: string; readonly config: Readonly<Record<string, unknown>> },
): LearningRateSchedule {
  const { class_name: className, config } = serialized;
  if (!Object.hasOwn(CLASSES, className)) {
    const suggestion = nearest(className, Object.keys(CLASSES));
    throw new OnnxHubError("optimizer/schedule", `Unknown learning-rate schedule \`${className}\``, {
      path: "class_name",
      expected: `one of ${Object.keys(CLASSES).join(", ")}`,
      remedy: suggestion ? `Did you mean \`${suggestion}\`?` : undefined,
    });
  }
  const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const options = Object.fromEntries(Object.entries(config).map(([name, value]) => [camel(name), value]));
  const make = CLASSES[className as keyof typeof CLASSES] as new (options: never) => LearningRateSchedule;
  return new make(options as never);
}

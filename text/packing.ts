/** Segments of ids to rows of one length: start, separators, end, truncation, padding. After KerasHub's packers. */

import { OnnxHubError } from "../errors.ts";

/** What is packed: ids, or tokens as strings. */
export type Packable = number | string;

/** How segments that are together too long are cut. */
export type Truncate = "round_robin" | "waterfall";

/** Which side of a row is padded. */
export type PaddingSide = "left" | "right";

/** How a {@linkcode MultiSegmentPacker} packs. */
export interface MultiSegmentPackerOptions<T extends Packable = number> {
  /** How long every row becomes. */
  readonly sequenceLength: number;
  /** What comes first. */
  readonly startValue: T | readonly T[];
  /** What comes last. */
  readonly endValue: T | readonly T[];
  /** What comes between segments. Default `endValue`. */
  readonly sepValue?: T | readonly T[];
  /** What fills a row up. Default 0, or "" for strings. */
  readonly padValue?: T;
  /**
   * "round_robin" takes a token from each segment in turn until the row is full, "waterfall" takes all of the first segment, then of the
   * second, and so on. Default "round_robin".
   */
  readonly truncate?: Truncate;
  /** Default "right". */
  readonly paddingSide?: PaddingSide;
}

/** What a call of a packer may change. */
export interface PackCallOptions {
  /** Default the packer's. */
  readonly sequenceLength?: number;
  /** Default true. */
  readonly addStartValue?: boolean;
  /** Default true. */
  readonly addEndValue?: boolean;
}

/** Packed rows, `[batch][sequence]`. */
export interface PackedSegments<T extends Packable = number> {
  readonly tokenIds: T[][];
  /** Which segment a token belongs to, with the separators or the end after it; 0 for the start and for padding. */
  readonly segmentIds: number[][];
}

/** A list of segments is a tuple of columns: the first segment of each example, the second of each, … */
type Columns<T> = readonly (readonly (readonly T[])[])[];

/**
 * Packs one or more segments into one row: start, first segment, separator, second segment, …, end, padding. After KerasHub's `MultiSegmentPacker`
 * (Devlin et al., 2018).
 *
 * Throws "text/truncate", "text/padding-side", "text/sequence-length" for a bad option; "text/segments" for no segment or columns of
 * unequal length; and "text/sequence-length" where special tokens alone don't fit.
 *
 * @example
 * ```ts
 * import { MultiSegmentPacker } from "onnxhub";
 * const packer = new MultiSegmentPacker({ sequenceLength: 7, startValue: 1, endValue: 2 });
 * const { tokenIds, segmentIds } = packer.pack([[[11, 12, 13]], [[21, 22, 23]]]);
 * console.log(tokenIds, segmentIds); // [[1, 11, 12, 2, 21, 22, 2]] [[0, 0, 0, 0, 1, 1, 1]]
 * ```
 */
export class MultiSegmentPacker<T extends Packable = number> {
  /** How long every row becomes. */
  sequenceLength: number;
  readonly #start: readonly T[];
  readonly #sep: readonly T[];
  readonly #end: readonly T[];
  readonly #pad: T | undefined;
  readonly #truncate: Truncate;
  readonly #side: PaddingSide;

  /** A packer. */
  constructor(options: MultiSegmentPackerOptions<NoInfer<T>>) {
    const { truncate = "round_robin", paddingSide = "right" } = options;
    if (!Object.hasOwn(TRIMMERS, truncate)) {
      throw new OnnxHubError("text/truncate", `Only 'round_robin' and 'waterfall' algorithms are supported. Received ${truncate}`, {
        path: "truncate",
      });
    }
    this.sequenceLength = checkLength(options.sequenceLength);
    this.#start = list(options.startValue, "start_value");
    this.#end = list(options.endValue, "end_value");
    this.#sep = options.sepValue === undefined ? this.#end : list(options.sepValue, "sep_value");
    this.#pad = options.padValue;
    this.#truncate = truncate;
    this.#side = checkSide(paddingSide);
  }

  /** Packs examples given as columns: `segments[s][i]` is segment s of example i. */
  pack(segments: Columns<T>, options: PackCallOptions = {}): PackedSegments<T> {
    if (segments.length === 0) {
      throw new OnnxHubError("text/segments", "At least one input is required for packing", { path: "inputs", found: "none" });
    }
    const batch = segments[0].length;
    segments.forEach((column, s) => {
      if (column.length !== batch) {
        throw new OnnxHubError("text/segments", "All inputs for packing must have the same number of examples", {
          path: `inputs[${s}]`,
          expected: `${batch}, as the first`,
          found: `${column.length}`,
        });
      }
    });
    const length = checkLength(options.sequenceLength ?? this.sequenceLength);
    const start = options.addStartValue ?? true ? this.#start : [];
    const end = options.addEndValue ?? true ? this.#end : [];
    const special = start.length + (segments.length - 1) * this.#sep.length + end.length;
    if (special > length) throw tooShort(length, special);
    const pad = this.#pad ?? defaultPad(segments.flat(), [...start, ...end]);

    const tokenIds: T[][] = [];
    const segmentIds: number[][] = [];
    for (let i = 0; i < batch; i++) {
      const kept = TRIMMERS[this.#truncate](segments.map((column) => column[i].length), length - special);
      const tokens: T[] = [...start];
      const ids: number[] = new Array(start.length).fill(0);
      segments.forEach((column, s) => {
        for (let k = 0; k < kept[s]; k++) tokens.push(column[i][k]);
        tokens.push(...s === segments.length - 1 ? end : this.#sep);
        while (ids.length < tokens.length) ids.push(s);
      });
      tokenIds.push(padded(tokens, length, pad, this.#side));
      segmentIds.push(padded(ids, length, 0, this.#side));
    }
    return { tokenIds, segmentIds };
  }
}

/** How many tokens of each segment stay, by the segments' lengths and the room that there is. */
const TRIMMERS: Readonly<Record<Truncate, (lengths: readonly number[], room: number) => number[]>> = {
  round_robin: (lengths, room) => {
    const kept = lengths.map(() => 0);
    // Whole rounds first: as many as leave every unfinished segment with another token to give.
    for (let left = room; left > 0;) {
      const open = lengths.flatMap((length, s) => kept[s] < length ? [s] : []);
      if (open.length === 0) break;
      const rounds = Math.min(Math.floor(left / open.length), ...open.map((s) => lengths[s] - kept[s]));
      for (const s of rounds === 0 ? open.slice(0, left) : open) kept[s] += Math.max(1, rounds);
      left = rounds === 0 ? 0 : left - rounds * open.length;
    }
    return kept;
  },
  waterfall: (lengths, room) =>
    lengths.map((length) => {
      const kept = Math.min(length, room);
      room -= kept;
      return kept;
    }),
};

/** How a {@linkcode StartEndPacker} packs. */
export interface StartEndPackerOptions<T extends Packable = number> {
  /** How long every row becomes. */
  readonly sequenceLength: number;
  /** What comes first. Default nothing. */
  readonly startValue?: T | readonly T[];
  /** What comes last. Default nothing. */
  readonly endValue?: T | readonly T[];
  /** What fills a row up. Default 0, or "" for strings. */
  readonly padValue?: T;
  /** Default "right". */
  readonly paddingSide?: PaddingSide;
}

/** Packed rows, `[batch][sequence]`. */
export interface PackedRows<T extends Packable = number> {
  readonly tokenIds: T[][];
  /** False for padding. */
  readonly paddingMask: boolean[][];
}

/**
 * Puts one start and one end to each row, cuts it to the room that they leave and pads it. After KerasHub's `StartEndPacker`.
 *
 * Throws "text/padding-side" and "text/sequence-length" for a bad option, the latter also where start and end alone don't fit.
 *
 * @example
 * ```ts
 * import { StartEndPacker } from "onnxhub";
 * const packer = new StartEndPacker({ sequenceLength: 6, startValue: 1, endValue: 2 });
 * console.log(packer.pack([[5, 6, 7], [8, 9, 10, 11]]).tokenIds); // [[1, 5, 6, 7, 2, 0], [1, 8, 9, 10, 11, 2]]
 * ```
 */
export class StartEndPacker<T extends Packable = number> {
  /** How long every row becomes. */
  sequenceLength: number;
  readonly #start: readonly T[];
  readonly #end: readonly T[];
  readonly #pad: T | undefined;
  readonly #side: PaddingSide;

  /** A packer. */
  constructor({ sequenceLength, startValue, endValue, padValue, paddingSide = "right" }: StartEndPackerOptions<NoInfer<T>>) {
    this.sequenceLength = checkLength(sequenceLength);
    this.#start = startValue === undefined ? [] : list(startValue, "start_value");
    this.#end = endValue === undefined ? [] : list(endValue, "end_value");
    this.#pad = padValue;
    this.#side = checkSide(paddingSide);
  }

  /** Packs rows of any lengths. */
  pack(rows: readonly (readonly T[])[], options: PackCallOptions = {}): PackedRows<T> {
    const length = checkLength(options.sequenceLength ?? this.sequenceLength);
    const start = options.addStartValue ?? true ? this.#start : [];
    const end = options.addEndValue ?? true ? this.#end : [];
    const room = length - start.length - end.length;
    if (room < 0) throw tooShort(length, start.length + end.length);
    const pad = this.#pad ?? defaultPad(rows, [...start, ...end]);
    const whole = rows.map((row) => [...start, ...row.slice(0, room), ...end]);
    return {
      tokenIds: whole.map((row) => padded(row, length, pad, this.#side)),
      paddingMask: whole.map((row) => padded(row.map(() => true), length, false, this.#side)),
    };
  }
}

function padded<V>(row: readonly V[], length: number, pad: V, side: PaddingSide): V[] {
  const padding = new Array<V>(length - row.length).fill(pad);
  return side === "right" ? [...row, ...padding] : [...padding, ...row];
}

/** 0, or "" where the tokens are strings. */
function defaultPad<T extends Packable>(rows: readonly (readonly T[])[], special: readonly T[]): T {
  const sample = rows.find((row) => row.length > 0)?.[0] ?? special[0];
  return (typeof sample === "string" ? "" : 0) as T;
}

function list<T extends Packable>(value: T | readonly T[], name: string): readonly T[] {
  if (typeof value === "number" || typeof value === "string") return [value];
  if (Array.isArray(value)) return [...value];
  throw new OnnxHubError("text/special-value", `${name} should be of type int/str/list/tuple`, {
    path: name,
    found: value === null ? "null" : typeof value,
  });
}

function checkLength(length: number): number {
  if (Number.isInteger(length) && length > 0) return length;
  throw new OnnxHubError("text/sequence-length", "Not a sequence length", {
    path: "sequenceLength",
    expected: "a whole number of 1 or more",
    found: String(length),
  });
}

function checkSide(side: PaddingSide): PaddingSide {
  if (side === "left" || side === "right") return side;
  throw new OnnxHubError("text/padding-side", `padding_side must be 'left' or 'right'. Received: ${side}`, { path: "paddingSide" });
}

function tooShort(length: number, special: number): OnnxHubError {
  return new OnnxHubError("text/sequence-length", "The sequence length leaves no room for the start, separator and end tokens", {
    path: "sequenceLength",
    expected: `at least ${special}`,
    found: `${length}`,
  });
}

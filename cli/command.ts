/** What a command of the command line is: its options as a table, its values typed by it. */

/** Where a command writes: whole lines, without their ends. */
export interface Console {
  /** To standard output. */
  out(line: string): void;
  /** To standard error. */
  error(line: string): void;
}

/** One option, `--name`. */
export interface Option {
  readonly type: "string" | "boolean";
  /** How help calls its value: `NAME`. */
  readonly value?: string;
  /** Whether it may be given more than once; then its value is a list. */
  readonly multiple?: true;
  readonly required?: true;
  readonly about: string;
}

/** Options by name. */
export type Options = Readonly<Record<string, Option>>;

/** The values of options, by name. */
export type OptionValues<O extends Options> = {
  readonly [K in keyof O]: O[K] extends { type: "boolean" } ? boolean
    : O[K] extends { multiple: true } ? readonly string[]
    : O[K] extends { required: true } ? string
    : string | undefined;
};

/** Values before their types are known. */
export type AnyValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** A command: `cli.ts NAME SPEC [options]`. */
export interface Command {
  readonly name: string;
  /** One sentence, without its full stop. */
  readonly about: string;
  /** More about it, whole lines. */
  readonly details: readonly string[];
  /** The smallest permissions under Deno. */
  readonly permissions: string;
  /** A command line that works, after the command's name. */
  readonly example: string;
  readonly options: Options;
  /** Does it, and gives the exit code. */
  run(spec: string, values: AnyValues, console: Console): Promise<number>;
}

/** Defines a command whose `run` has its values typed by its options. */
export function command<const O extends Options>(
  definition: Omit<Command, "options" | "run"> & {
    readonly options: O;
    run(spec: string, values: OptionValues<O>, console: Console): Promise<number>;
  },
): Command {
  // The parser fills the values in by the same table, so they have the type that the table says.
  return { ...definition, run: (spec, values, console) => definition.run(spec, values as OptionValues<O>, console) };
}

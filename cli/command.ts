/** What a command of the command line is: its options as a table, its values typed by it. */

/** Where a command reads and writes: whole lines, without their ends. */
export interface Console {
  /** To standard output. */
  out(line: string): void;
  /** To standard error. */
  error(line: string): void;
  /** The lines of standard input; null where a person sits at it. */
  readonly input: AsyncIterable<string> | null;
}

/** What a command takes beside its options. */
export interface Positionals {
  /** As help calls them: `SPEC`, `PRESET [TEXT …]`. */
  readonly usage: string;
  readonly least: number;
  readonly most: number;
  /** How messages call them. */
  readonly what: string;
  readonly expected: string;
  /** What help says of them at its end, whole lines. */
  readonly notes: readonly string[];
}

/** The spec that a command is about. */
export const SPEC: Positionals = {
  usage: "SPEC",
  least: 1,
  most: 1,
  what: "one spec",
  expected: "a built-in name or the path of a JSON file",
  notes: ["A built-in spec needs no permission to read."],
};

/** The preset that a command is about. */
export const PRESET: Positionals = {
  usage: "PRESET",
  least: 1,
  most: 1,
  what: "one preset",
  expected: "a built-in name, a handle such as hf://org/name, or a directory",
  notes: [
    "PRESET is a built-in name (`cli.ts presets` lists them), hf://ORG/NAME[@REVISION], kaggle://ORG/MODEL/FRAMEWORK/VARIATION,",
    "modelscope://ORG/NAME or a directory DIR. What a hub has is downloaded once, which needs --allow-net, --allow-env, and --allow-read",
    "and --allow-write for the hub's cache.",
  ],
};

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

/** A command: `cli.ts NAME POSITIONALS [options]`. */
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
  readonly positionals: Positionals;
  readonly options: Options;
  /** Does it, and gives the exit code. */
  run(positionals: readonly string[], values: AnyValues, console: Console): Promise<number>;
}

/** Defines a command whose `run` has its values typed by its options. */
export function command<const O extends Options>(
  definition: Omit<Command, "options" | "run"> & {
    readonly options: O;
    run(positionals: readonly string[], values: OptionValues<O>, console: Console): Promise<number>;
  },
): Command {
  // The parser fills the values in by the same table, so they have the type that the table says.
  return { ...definition, run: (positionals, values, console) => definition.run(positionals, values as OptionValues<O>, console) };
}

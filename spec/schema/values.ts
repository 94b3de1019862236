/** The schemas of values: names, numbers, shapes, initializers, weight expressions; each in two forms, with expressions and without. */

import * as v from "valibot";
import { isTemplate } from "../expressions.ts";
import { dispatch, has, object, own, type Schema } from "./dispatch.ts";

/** Snake-case names of config entries, inputs, blocks, tasks. */
export const identifier: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a name of letters, digits and underscores"),
);

/** Names of layers and instances: they become a part of weight paths. */
export const nodeName: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_-]*$/, "a name of letters, digits, underscores and hyphens"),
);

/** Values of a configuration. */
export const configValue: Schema = dispatch(
  "config_value",
  (input) => Array.isArray(input) ? v.array(configValue) : v.nullable(v.union([v.number(), v.string(), v.boolean()])),
  () => [v.null(), v.number(), v.string(), v.boolean(), v.array(configValue)],
);

/** Anything that JSON can say, expressions in it. */
export const json: Schema = v.unknown();

/** One expression. */
export const expression: Schema = v.pipe(v.string(), v.regex(/\{\{[^]*\}\}/, "an expression, `{{ … }}`"));

/** A string in which expressions may stand. */
export const template: Schema = v.string();

/** The schema, or an expression in its place; `name` is its name in the JSON Schema. */
export function orExpression(schema: Schema, name: string | null = null): Schema {
  return dispatch(name, (input) => typeof input === "string" && isTemplate(input) ? expression : schema, () => [schema, expression]);
}

const INITIALIZERS: Readonly<Record<string, readonly string[]>> = {
  zeros: [],
  ones: [],
  constant: ["value"],
  random_normal: ["mean", "stddev"],
  random_uniform: ["minval", "maxval"],
  truncated_normal: ["mean", "stddev"],
  glorot_uniform: [],
  glorot_normal: [],
  he_uniform: [],
  he_normal: [],
  lecun_normal: [],
};

/** Activation functions, by Keras' names. */
export const activationNames = [
  "linear",
  "relu",
  "gelu",
  "gelu_approximate",
  "quick_gelu",
  "silu",
  "tanh",
  "sigmoid",
  "softmax",
  "softplus",
  "exp",
] as const;

/** No tensor here can have a longer dimension. */
const SIZE_LIMIT = 2 ** 31 - 1;

/** The kinds of values that options have. */
export interface Values {
  readonly bool: Schema;
  readonly int: Schema;
  /** At least 1. */
  readonly size: Schema;
  readonly number: Schema;
  readonly positive: Schema;
  /** 0 … 1 */
  readonly rate: Schema;
  readonly string: Schema;
  readonly activation: Schema;
  /** Sizes: one or a list. */
  readonly units: Schema;
  /** Sizes and symbols. */
  readonly shape: Schema;
  readonly ints: Schema;
  readonly initializer: Schema;
  readonly weight: Schema;
  readonly frequencies: Schema;
  nullable(schema: Schema): Schema;
  choice(...choices: string[]): Schema;
}

function makeValues(templated: boolean): Values {
  const wrap = (schema: Schema, name: string | null = null): Schema => templated ? orExpression(schema, name) : schema;
  const integer = v.pipe(v.number(), v.integer("an integer"));
  const size = v.pipe(
    integer,
    v.minValue(1, "an integer of at least 1"),
    v.maxValue(SIZE_LIMIT, `an integer of at most ${SIZE_LIMIT}`),
  );
  const oneSize = wrap(size, "size");
  const positive = wrap(v.pipe(v.number(), v.check((x) => x > 0, "a number above 0")), "positive");
  const symbol = v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_]*$/, "a size, or the name of a symbol"));
  const suffix = templated ? "" : "_value";
  const weight: Schema = dispatch(
    `weight_expression${suffix}`,
    (input) => {
      const operator = Object.keys(weightForms).find((key) => has(input, key));
      return operator ? weightForms[operator] : object({ ref: v.string() });
    },
    () => Object.values(weightForms),
  );
  const weightForms: Record<string, Schema> = {
    ref: object({ ref: template }),
    transpose: object({ transpose: weight }),
    add: object({ add: v.tuple([weight, weight]) }),
    multiply: object({
      multiply: v.tuple([
        weight,
        dispatch(null, (input) => typeof input === "object" ? weight : wrap(v.number()), () => [weight, wrap(v.number())]),
      ]),
    }),
    matmul: object({ matmul: v.tuple([weight, weight]) }),
  };
  const initializer = dispatch(
    `initializer${suffix}`,
    (input) => {
      if (typeof input === "string") return templated && isTemplate(input) ? expression : v.picklist(Object.keys(INITIALIZERS));
      const options = own(INITIALIZERS, (input as { type?: unknown } | null)?.type);
      return options
        ? initializerForm(String((input as { type: string }).type), options)
        : v.looseObject({ type: v.picklist(Object.keys(INITIALIZERS)) });
    },
    () => [
      v.picklist(Object.keys(INITIALIZERS)),
      ...(templated ? [expression] : []),
      ...Object.entries(INITIALIZERS).map(([type, options]) => initializerForm(type, options)),
    ],
  );
  const initializerForm = (type: string, options: readonly string[]): Schema =>
    object({ type: v.literal(type), ...Object.fromEntries(options.map((option) => [option, v.optional(wrap(v.number()))])) });
  return {
    bool: wrap(v.boolean(), "bool"),
    int: wrap(integer, "int"),
    size: oneSize,
    number: wrap(v.number(), "number"),
    positive,
    rate: wrap(v.pipe(v.number(), v.minValue(0, "a number from 0 to 1"), v.maxValue(1, "a number from 0 to 1")), "rate"),
    string: templated ? template : v.string(),
    activation: wrap(v.picklist(activationNames), "activation"),
    units: wrap(dispatch(null, (input) => Array.isArray(input) ? v.array(oneSize) : size, () => [size, v.array(oneSize)]), "units"),
    shape: wrap(
      v.array(
        dispatch(
          null,
          (input) => typeof input === "string" && !(templated && isTemplate(input)) ? symbol : oneSize,
          () => [symbol, oneSize],
        ),
      ),
      "shape",
    ),
    ints: wrap(v.array(wrap(integer, "int"))),
    initializer,
    weight,
    frequencies: wrap(
      object({
        factor: positive,
        low_freq_factor: positive,
        high_freq_factor: positive,
        pretraining_sequence_length: positive,
      }),
    ),
    nullable: (schema) => v.nullable(schema),
    choice: (...choices) => wrap(v.picklist(choices)),
  };
}

/** Values as people write them, expressions in place of any. */
export const sourceValues: Values = makeValues(true);

/** Values with every expression evaluated. */
export const plainValues: Values = makeValues(false);

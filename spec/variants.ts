/** Families of variants: every combination of a grid's choices. */

import { OnnxHubError } from "../errors.ts";
import type { Config } from "./config.ts";
import { derive, type Patch } from "./derive.ts";
import { describe } from "./schema/check.ts";
import type { Spec } from "./source.ts";
import type { ConfigValue } from "./types.ts";

/** One axis: values of the config entry that it is named for, or patches by name. */
export type Axis = readonly ConfigValue[] | { readonly [choice: string]: Patch };

/** The axes by name. */
export interface Grid {
  readonly [axis: string]: Axis;
}

/** One combination. */
export interface Variant {
  /** `depth=deep, norm=rms` */
  readonly name: string;
  /** The spec with the patches of this combination. */
  readonly spec: Spec;
  /** The config values of this combination, to be expanded with. */
  readonly config: Config;
}

/**
 * Every combination of a grid, the last axis changing fastest.
 *
 * Throws the errors of `derive`, and "spec/grid" for an axis without choices.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * const roberta = await spec.load("roberta");
 * const list = spec.variants(roberta, {
 *   num_layers: [2, 4],
 *   norm: { layer: {}, rms: { layers: [{ at: "blocks/encoder/*norm", set: { kind: "rms" } }] } },
 * });
 * console.log(list.map(({ name }) => name)); // 4: "num_layers=2, norm=layer", …
 * ```
 */
export function variants(spec: Spec, grid: Grid): Variant[] {
  let combinations: Variant[] = [{ name: "", spec, config: {} }];
  for (const [axis, choices] of Object.entries(grid)) {
    const options = optionsOf(axis, choices);
    combinations = combinations.flatMap((combination) => options.map((option) => extend(combination, axis, option)));
  }
  return combinations;
}

interface Option {
  readonly label: string;
  readonly patch: Patch;
}

function optionsOf(axis: string, choices: Axis): Option[] {
  const options: Option[] = Array.isArray(choices)
    ? choices.map((value: ConfigValue) => ({
      label: typeof value === "string" ? value : JSON.stringify(value),
      patch: { config: { [axis]: value } },
    }))
    : Object.entries(choices).map(([label, patch]) => ({ label, patch: patch as Patch }));
  if (options.length > 0 && typeof choices === "object") return options;
  throw new OnnxHubError("spec/grid", `The axis \`${axis}\` has no choices`, {
    expected: "config values, or patches by name",
    found: describe(choices),
  });
}

function extend({ name, spec, config }: Variant, axis: string, { label, patch }: Option): Variant {
  const step = `${axis}=${label}`;
  const values = Object.entries(patch.config ?? {}).filter(([, value]) =>
    typeof value !== "object" || value === null || Array.isArray(value)
  );
  return {
    name: name ? `${name}, ${step}` : step,
    spec: derive(spec, { ...patch, name: patch.name ?? step }),
    config: { ...config, ...Object.fromEntries(values) as Config },
  };
}

/** The built-in specs, and whether a model's is one of them. */

import { OnnxHubError } from "../errors.ts";
import { architectureNames, hash, type Spec, type SpecSource } from "../spec/index.ts";
import { builtIn } from "../spec/load.ts";

export { builtIn as builtInSpec } from "../spec/load.ts";

/**
 * Requires that a spec of a built-in name is the built-in one. A spec that was changed is another architecture: its weights under the names of the
 * built-in one would load as something else.
 *
 * Throws "preset/inexpressible" with the part that was changed; `owner` is whose format cannot express it.
 */
export function assertBuiltIn({ file, source }: Spec, owner: string): void {
  const { name } = source;
  if (!architectureNames.includes(name)) return;
  const standard = builtIn(name).source;
  if (hash(source) === hash(standard)) return;
  const part = (spec: SpecSource, key: string): string => hash(spec[key as keyof SpecSource] ?? null);
  const changed = Object.keys({ ...standard, ...source }).find((key) => part(standard, key) !== part(source, key));
  throw new OnnxHubError("preset/inexpressible", `This model is a variant of ${name}, which ${owner} can't express`, {
    path: `${file}: ${changed}`,
    expected: `the built-in spec ${name}`,
    found: "another",
    remedy:
      "Keep the spec, save the weights with `saveWeights` to a `.safetensors` file, and load both with `models.fromSpec` and `loadWeights`.",
  });
}

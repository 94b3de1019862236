/** Options of the model classes: sorted into a spec's configuration and the class's own, unknown ones refused. */

import { nearest, OnnxHubError } from "../errors.ts";
import { camelCase, snakeCase } from "../spec/naming.ts";
import type { ConfigValue } from "../spec/types.ts";

/** `XLMRobertaBackbone` → `xlm_roberta_backbone`, as Keras names layers. */
export { snakeCase as snakeName } from "../presets/kerashub/weights.ts";

/**
 * Picks a spec's configuration (snake_case keys) out of options in camelCase. Keys that are neither in `configKeys` nor in `own` are
 * "model/option" errors. Undefined values count as not given.
 */
export function configFrom(
  owner: string,
  options: object,
  configKeys: Iterable<string>,
  own: readonly string[],
): Record<string, ConfigValue> {
  const keys = [...configKeys];
  const config: Record<string, ConfigValue> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || own.includes(name)) continue;
    const key = snakeCase(name);
    if (keys.includes(key)) {
      config[key] = value as ConfigValue;
      continue;
    }
    const known = [...keys.map(camelCase), ...own];
    const guess = nearest(camelCase(name), known);
    throw new OnnxHubError("model/option", `${owner} has no option ${name}`, {
      path: `${owner}.${name}`,
      expected: `one of ${known.join(", ")}`,
      found: name,
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  }
  return config;
}

/** Options checked against a list of names. */
export function checkOptions(owner: string, options: object, known: readonly string[]): void {
  configFrom(owner, options, [], known);
}

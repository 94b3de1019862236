/** The built-in specs, each read once. */

import { architectures } from "../spec/architectures/index.ts";
import { parseSpec, type Spec } from "../spec/index.ts";

const specs = new Map<string, Spec>();

/** The built-in spec of that name. */
export function builtInSpec(name: string): Spec {
  let spec = specs.get(name);
  if (!spec) specs.set(name, spec = parseSpec(architectures[name], name));
  return spec;
}

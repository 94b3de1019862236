/** Expands lists of layers: repetitions become entries, defaults are filled in, value names are resolved. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { canonical } from "../hash.ts";
import { evaluate, evaluateAll, type Place, type Scope, where } from "../expressions.ts";
import { check, describe } from "../schema/check.ts";
import { optionSchemas } from "../schema/entries.ts";
import { layerTable, nodeKeys } from "../schema/layers.ts";
import { nodeName, plainValues } from "../schema/values.ts";
import type { Json, SourceBlock, SourceEntry, SourceInstance, SourceLayer, SourcePart } from "../source.ts";
import type { ExpandedBlock, ExpandedInstance, ExpandedLayer, ExpandedNode, ExpandedPart, ExpandedWeight } from "../types.ts";
import { fullInitializer } from "./initializers.ts";
import { inside, repetitions } from "./repeat.ts";
import { Values } from "./values.ts";

type Inputs = SourceLayer["in"];

/** The most layers in a model, those of every instance of a block counted. */
const LAYER_LIMIT = 100_000;

/** Expands the parts of one spec; the block definitions that they use collect in `blocks`. */
export class LayerExpander {
  /** Definitions by name, in the order of first use. */
  readonly blocks: Record<string, ExpandedBlock> = {};
  readonly #definitions = new Map<string, string>();
  /** How many layers an instance of a definition has. */
  readonly #sizes = new Map<string, number>();

  /** `scope`: what every block sees. */
  constructor(
    private readonly sources: Readonly<Record<string, SourceBlock>>,
    private readonly scope: Scope,
    private readonly file: string,
  ) {}

  /** A backbone or a head, over the named values; "previous" is `flows` at first. */
  part(part: SourcePart, inputs: readonly string[], flows: string | null, scope: Scope, place: Place): ExpandedPart {
    const inner = withLets(part.let, scope, inside(place, "let"));
    const values = new Values(inputs, { flows });
    const weights = this.#weights(part, inner, place);
    const layers = this.#list(part.layers, values, inner, inside(place, "layers"));
    this.#checkSize(layers, place);
    const outputs = this.#outputs(part, values, inner, inside(place, "outputs"));
    const weight_order = (part.weight_order ?? []).map((prefix, i) => text(prefix, inner, inside(inside(place, "weight_order"), i)));
    return { weights, layers, weight_order, outputs };
  }

  /** How many layers these are, instances with all of theirs. */
  #sizeOf(layers: readonly ExpandedNode[]): number {
    return layers.reduce((sum, node) => sum + ("block" in node ? this.#sizes.get(node.block)! : 1), 0);
  }

  #checkSize(layers: readonly ExpandedNode[], place: Place): void {
    const size = this.#sizeOf(layers);
    if (size <= LAYER_LIMIT) return;
    throw new OnnxHubError("spec/too-large", "The model has too many layers", {
      path: where(place),
      expected: `at most ${LAYER_LIMIT}`,
      found: `${size}`,
    });
  }

  #outputs({ outputs }: SourcePart, values: Values, scope: Scope, place: Place): Record<string, string> {
    if (!outputs) return { out: values.previous(place) };
    return Object.fromEntries(
      Object.entries(outputs).map((
        [name, reference],
      ) => [name, values.resolve(text(reference, scope, inside(place, name)), inside(place, name))]),
    );
  }

  #weights({ weights = [] }: SourcePart, scope: Scope, place: Place): ExpandedWeight[] {
    const seen = new Set<string>();
    return weights.flatMap((weight, i) => {
      const here = inside(inside(place, "weights"), i);
      return repetitions({ when: weight.when }, scope, here).map(() => {
        if (seen.has(weight.name)) {
          throw new OnnxHubError("spec/duplicate-name", `The weight \`${weight.name}\` is declared twice`, { path: where(here) });
        }
        seen.add(weight.name);
        const shape = check<number[]>(
          plainValues.shape,
          evaluateAll(weight.shape as Json, scope, inside(here, "shape")),
          inside(here, "shape"),
        );
        const trainable = check<boolean>(plainValues.bool, evaluateAll(weight.trainable ?? true, scope, here), inside(here, "trainable"));
        const initializer = evaluateAll((weight.initializer ?? "glorot_uniform") as Json, scope, inside(here, "initializer"));
        check(plainValues.initializer, initializer, inside(here, "initializer"));
        return { name: weight.name, shape, initializer: fullInitializer(initializer), trainable };
      });
    });
  }

  #list(entries: readonly SourceEntry[], values: Values, scope: Scope, place: Place): ExpandedNode[] {
    return entries.flatMap((entry, index) => {
      const here = inside(place, index);
      return repetitions(entry, scope, here).flatMap((each) => {
        if ("layer" in entry) return [this.#layer(entry as SourceLayer, values, each, here)];
        if ("block" in entry) return [this.#instance(entry as SourceInstance, values, each, here)];
        if ("layers" in entry) return this.#list(entry.layers as readonly SourceEntry[], values, each, inside(here, "layers"));
        values.alias(entry.out as string, text(entry.in as string, each, inside(here, "in")), inside(here, "in"));
        return [];
      });
    });
  }

  #layer(entry: SourceLayer, values: Values, scope: Scope, place: Place): ExpandedLayer {
    const definition = layerTable[entry.layer];
    const common = new Set<string>(["layer", ...nodeKeys]);
    const given: Record<string, Json> = {};
    for (const [key, value] of Object.entries(entry)) {
      if (!common.has(key)) given[key] = evaluateAll(value as Json, scope, inside(place, key));
    }
    check(optionSchemas[entry.layer], given, place);
    const options: Record<string, unknown> = {};
    for (const [key, option] of Object.entries(definition.options)) {
      const value = given[key] ?? option.default;
      if (value !== undefined) options[key] = normalize(key, value);
    }
    const inputs = definition.inputs === null
      ? this.#inputList(entry.in, values, scope, inside(place, "in"))
      : this.#inputs(entry.in, definition.inputs, entry.layer, values, scope, place);
    if (options.causal === true && !("positions" in inputs)) {
      throw new OnnxHubError("spec/missing-key", "Causal attention needs `positions`", {
        path: where(inside(place, "in")),
        remedy: 'Add `"positions": "positions"` to its inputs.',
      });
    }
    const node = { layer: entry.layer, ...this.#naming(entry, values, scope, place), in: inputs, ...options } as unknown as ExpandedLayer;
    values.add(node.name, null, entry.out, place);
    return node;
  }

  #instance(entry: SourceInstance, values: Values, scope: Scope, place: Place): ExpandedInstance {
    const block = this.#define(entry, scope, place);
    const definition = this.blocks[block];
    const inputs = this.#inputs(entry.in, definition.inputs, entry.block, values, scope, place);
    const node: ExpandedInstance = { block, ...this.#naming(entry, values, scope, place), in: inputs };
    values.add(node.name, Object.keys(definition.outputs), entry.out, place);
    return node;
  }

  /** The definition that an instance uses: one for all instances with the same parameters. */
  #define(entry: SourceInstance, scope: Scope, place: Place): string {
    const source = this.sources[entry.block];
    const given = evaluateAll((entry.with ?? {}) as Json, scope, inside(place, "with")) as Record<string, Json>;
    const here: Place = { file: this.file, path: `blocks.${entry.block}` };
    const parameters: Record<string, Json> = {};
    for (const [name, fallback] of Object.entries(source.parameters ?? {})) {
      parameters[name] = given[name] !== undefined
        ? given[name]
        : evaluateAll(fallback, this.scope, inside(inside(here, "parameters"), name));
    }
    const key = canonical([entry.block, parameters]);
    const known = this.#definitions.get(key);
    if (known !== undefined) return known;
    const expanded = this.part(source, source.inputs, source.inputs[0] ?? null, { ...this.scope, ...parameters }, here);
    let name = entry.block;
    for (let i = 2; Object.hasOwn(this.blocks, name) || (name !== entry.block && Object.hasOwn(this.sources, name)); i++) {
      name = `${entry.block}__${i}`;
    }
    this.blocks[name] = { inputs: source.inputs, ...expanded };
    this.#sizes.set(name, this.#sizeOf(expanded.layers));
    this.#definitions.set(key, name);
    return name;
  }

  /** `name`, and `weights` where it is another place. */
  #naming(entry: SourceLayer | SourceInstance, values: Values, scope: Scope, place: Place): { name: string; weights?: string } {
    const name = entry.name === undefined
      ? this.#freeName("layer" in entry ? String(entry.layer) : entry.block, values)
      : text(entry.name, scope, inside(place, "name"));
    check(nodeName, name, inside(place, "name"));
    const weights = entry.weights === undefined ? name : text(entry.weights, scope, inside(place, "weights"));
    return weights === name ? { name } : { name, weights };
  }

  #freeName(base: string, values: Values): string {
    let name = base;
    for (let i = 2; values.has(name); i++) name = `${base}_${i}`;
    return name;
  }

  #inputList(given: Inputs, values: Values, scope: Scope, place: Place): string[] {
    if (Array.isArray(given) && given.length >= 2) {
      return given.map((name: string, i) => values.resolve(text(name, scope, inside(place, i)), inside(place, i)));
    }
    throw new OnnxHubError("spec/value", "Wrong inputs", {
      path: where(place),
      expected: "a list of two or more value names",
      found: describe(given),
    });
  }

  /** Inputs by name: the first defaults to the previous value, the others to values of the same name; "?" marks optional ones. */
  #inputs(given: Inputs, names: readonly string[], owner: string, values: Values, scope: Scope, place: Place): Record<string, string> {
    if (Array.isArray(given)) {
      throw new OnnxHubError("spec/value", "Wrong inputs", {
        path: where(inside(place, "in")),
        expected: "one value name, or an object",
        found: describe(given),
      });
    }
    const first = names[0]?.replace("?", "");
    const byName = typeof given === "string" ? { [first]: given } : (given ?? {}) as Record<string, string>;
    const plain = names.map((name) => name.replace("?", ""));
    for (const key of Object.keys(byName)) {
      if (plain.includes(key)) continue;
      const guess = nearest(key, plain);
      throw new OnnxHubError("spec/unknown-key", `\`${owner}\` has no input \`${key}\``, {
        path: where(inside(place, "in")),
        expected: `one of ${plain.join(", ")}`,
        remedy: guess ? `Did you mean \`${guess}\`?` : "Remove it.",
      });
    }
    const resolved: Record<string, string> = {};
    names.forEach((name, i) => {
      const key = plain[i];
      const here = inside(inside(place, "in"), key);
      const reference = byName[key] === undefined ? undefined : evaluate(byName[key], scope, here);
      if (typeof reference === "string") resolved[key] = values.resolve(reference, here);
      else if (name.endsWith("?")) return;
      else if (i === 0 && reference === undefined) resolved[key] = values.previous(here);
      else resolved[key] = values.find(key) ?? missingInput(key, owner, place);
    });
    return resolved;
  }
}

/** A scope with the values of a `let` added, each seeing the ones before it. */
export function withLets(lets: Readonly<Record<string, Json>> | undefined, scope: Scope, place: Place): Scope {
  let inner = scope;
  for (const [name, value] of Object.entries(lets ?? {})) inner = { ...inner, [name]: evaluateAll(value, inner, inside(place, name)) };
  return inner;
}

/** A template's text; throws where an expression gives something else. */
export function text(template: string, scope: Scope, place: Place): string {
  const value = evaluate(template, scope, place);
  if (typeof value === "string") return value;
  throw new OnnxHubError("spec/value", "Wrong value", { path: where(place), expected: "a string", found: describe(value) });
}

function missingInput(key: string, owner: string, place: Place): never {
  throw new OnnxHubError("spec/missing-key", `\`${owner}\` needs the input \`${key}\``, {
    path: where(inside(place, "in")),
    remedy: `Add \`${key}\` to \`in\`, or name a value \`${key}\`.`,
  });
}

/** An option in its one expanded form. */
function normalize(key: string, value: Json): unknown {
  if (key === "units") return Array.isArray(value) ? value : [value];
  return key.endsWith("initializer") ? fullInitializer(value) : value;
}

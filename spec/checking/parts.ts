/** Checks lists of layers: names in expressions, references to values and blocks, inputs, parameters, names given twice. */

import { OnnxHubError } from "../../errors.ts";
import { inside } from "../expansion/repeat.ts";
import { isTemplate, type Place, where } from "../expressions.ts";
import { layerTable } from "../schema/layers.ts";
import type { Json, SourceAlias, SourceBlock, SourceEntry, SourceInstance, SourceLayer, SourcePart } from "../source.ts";
import { checkExpressions, checkFree, checkKnown, type Names, withLetNames } from "./names.ts";

type Blocks = Readonly<Record<string, SourceBlock>>;

/** Checks a backbone, a head or a block; `inputs` are the values that are there from the start. */
export function checkPart(part: SourcePart, inputs: Names, names: Names, blocks: Blocks, place: Place): void {
  const inner = withLetNames(part.let, names, inside(place, "let"));
  checkExpressions(part.weights ?? [], inner, inside(place, "weights"));
  checkExpressions(part.weight_order ?? [], inner, inside(place, "weight_order"));
  checkExpressions(part.outputs ?? {}, inner, inside(place, "outputs"));
  const values = new ValueNames(inputs, part.layers);
  checkList(part.layers, values, inner, blocks, inside(place, "layers"));
  for (const [output, value] of Object.entries(part.outputs ?? {})) values.check(value, inside(inside(place, "outputs"), output));
  if (!part.outputs && part.layers.length === 0) {
    throw new OnnxHubError("spec/missing-key", "A list of layers without layers gives nothing", {
      path: where(place),
      remedy: "Add `outputs`.",
    });
  }
}

/** The names of the blocks that a list uses, with where. */
export function usedBlocks(entries: readonly SourceEntry[], place: Place): { readonly block: string; readonly place: Place }[] {
  return entries.flatMap((entry, i) => {
    const here = inside(place, i);
    if ("block" in entry) return [{ block: (entry as SourceInstance).block, place: here }];
    return "layers" in entry ? usedBlocks(entry.layers as readonly SourceEntry[], inside(here, "layers")) : [];
  });
}

/** The values that a list makes, as far as they are known before anything is evaluated. */
class ValueNames {
  readonly #literal = new Set<string>(["previous"]);
  readonly #templates: RegExp[] = [];

  constructor(inputs: Names, entries: readonly SourceEntry[]) {
    for (const name of inputs) this.#literal.add(name);
    const sure = new Set<string>(inputs);
    this.#collect(entries, sure);
  }

  #collect(entries: readonly SourceEntry[], sure: Set<string>): void {
    for (const entry of entries) {
      if ("layers" in entry) {
        this.#collect(entry.layers as readonly SourceEntry[], sure);
        continue;
      }
      const node = entry as SourceLayer | SourceInstance;
      if (node.out !== undefined) this.#literal.add(node.out);
      if (isAlias(entry)) continue;
      const name = node.name;
      if (name === undefined) this.#templates.push(new RegExp(`^${String("layer" in node ? node.layer : node.block)}(_\\d+)?$`));
      else if (isTemplate(name)) this.#templates.push(new RegExp(`^${name.split(/\{\{.*?\}\}/).map(escape).join(".*")}$`));
      else this.#literal.add(name);
    }
  }

  /** Throws "spec/dangling" for a reference to a value that the list never makes. */
  check(reference: string, place: Place): void {
    if (isTemplate(reference)) return;
    const base = reference.split(".")[0];
    if (this.#templates.some((template) => template.test(base))) return;
    checkKnown(base, [...this.#literal], "value", place);
  }
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function isAlias(entry: SourceEntry): entry is SourceAlias {
  return !("layer" in entry || "block" in entry || "layers" in entry);
}

function checkList(entries: readonly SourceEntry[], values: ValueNames, names: Names, blocks: Blocks, place: Place): void {
  const certain = new Set<string>();
  entries.forEach((entry, i) => {
    const here = inside(place, i);
    if (isAlias(entry)) {
      checkExpressions(entry, names, here);
      values.check(entry.in, inside(here, "in"));
      return;
    }
    checkExpressions(entry.repeat, names, inside(here, "repeat"));
    const as = entry.as ?? "i";
    if (entry.repeat !== undefined) checkFree(as, [], inside(here, "as"));
    const inner = entry.repeat === undefined ? names : [...names, as];
    if ("layers" in entry) {
      checkExpressions(entry.when, inner, inside(here, "when"));
      checkList(entry.layers as readonly SourceEntry[], values, inner, blocks, inside(here, "layers"));
      return;
    }
    const { repeat: _repeat, as: _as, ...rest } = entry as SourceLayer | SourceInstance;
    checkExpressions(rest, inner, here);
    const inputs = "layer" in entry ? layerInputs(entry as SourceLayer, here) : instanceInputs(entry as SourceInstance, blocks, here);
    checkReferences(entry as SourceLayer | SourceInstance, inputs, values, here);
    const { name } = rest;
    if (name === undefined || isTemplate(name) || rest.when !== undefined) return;
    if (certain.has(name)) checkFree(name, [name], inside(here, "name"));
    certain.add(name);
  });
}

/** The layer's input names; null: it takes a list. */
function layerInputs(entry: SourceLayer, place: Place): Names | null {
  const { inputs, weights } = layerTable[entry.layer];
  if (weights && entry.name === undefined) {
    throw new OnnxHubError("spec/missing-key", `A layer of type \`${entry.layer}\` needs a \`name\`: its weights lie under it`, {
      path: where(place),
      remedy: "Add `name`.",
    });
  }
  return inputs && inputs.map((name) => name.replace("?", ""));
}

function instanceInputs(entry: SourceInstance, blocks: Blocks, place: Place): Names {
  checkKnown(entry.block, Object.keys(blocks), "block", inside(place, "block"));
  const { inputs, parameters = {} } = blocks[entry.block];
  for (const parameter of Object.keys(entry.with ?? {})) {
    checkKnown(parameter, Object.keys(parameters), `parameter of \`${entry.block}\``, inside(place, "with"));
  }
  const missing = Object.keys(parameters).find((name) => parameters[name] === null && !Object.hasOwn(entry.with ?? {}, name));
  if (missing !== undefined) {
    throw new OnnxHubError("spec/missing-key", `The block \`${entry.block}\` needs the parameter \`${missing}\``, {
      path: where(place),
      remedy: `Add it to \`with\`.`,
    });
  }
  return inputs;
}

function checkReferences(entry: SourceLayer | SourceInstance, inputs: Names | null, values: ValueNames, place: Place): void {
  const given = entry.in as Json | undefined;
  const here = inside(place, "in");
  if (typeof given === "string") values.check(given, here);
  else if (Array.isArray(given)) given.forEach((name, i) => values.check(String(name), inside(here, i)));
  else if (typeof given === "object" && given !== null) {
    for (const [input, name] of Object.entries(given)) {
      if (inputs) checkKnown(input, inputs, "input", here);
      values.check(String(name), inside(here, input));
    }
  }
}

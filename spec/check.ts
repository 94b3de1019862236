/** What can be checked of a spec before any configuration is known. */

import { OnnxHubError } from "../errors.ts";
import { checkExpressions, checkFree, checkKnown, type Names, withLetNames } from "./checking/names.ts";
import { checkPart, usedBlocks } from "./checking/parts.ts";
import { checkValue, longForm } from "./config.ts";
import { inside } from "./expansion/repeat.ts";
import { joinPath, type Place, where } from "./expressions.ts";
import { describe } from "./schema/check.ts";
import type { SourceCheckpoints, SourceConfigEntry, SourceInput, Spec, SpecSource } from "./source.ts";

/**
 * Throws the first error: a default that its own entry refuses, an unknown name in an expression, a reference to a value, a block, a
 * task or a parameter that is not there, a name given twice, a block that uses itself.
 */
export function checkSpec({ file, source }: Spec): void {
  const root: Place = { file, path: "" };
  const { config, inputs, blocks = {}, backbone, heads = {} } = source;
  checkConfig(config, [], inside(root, "config"));
  const names = withLetNames(source.let, ["name", ...Object.keys(config)], inside(root, "let"));
  checkInputs(inputs, inputs, names, inside(root, "inputs"));
  checkExpressions(source.limits, names, inside(root, "limits"));
  for (const symbol of Object.keys(source.limits ?? {})) checkKnown(symbol, symbolsOf(inputs), "symbol", inside(root, "limits"));
  for (const [name, block] of Object.entries(blocks)) {
    const here = inside(inside(root, "blocks"), name);
    checkExpressions(block.parameters, names, inside(here, "parameters"));
    const parameters = Object.keys(block.parameters ?? {});
    for (const parameter of parameters) checkFree(parameter, [], inside(inside(here, "parameters"), parameter));
    checkPart(block, block.inputs, [...names, ...parameters], blocks, here);
  }
  checkCycles(source, root);
  checkPart(backbone, Object.keys(inputs), names, blocks, inside(root, "backbone"));
  for (const [task, head] of Object.entries(heads)) {
    const here = inside(inside(root, "heads"), task);
    checkConfig(head.config ?? {}, [], inside(here, "config"));
    const own = [...names, "backbone", ...Object.keys(head.config ?? {})];
    checkInputs(head.inputs ?? {}, { ...inputs, ...head.inputs }, own, inside(here, "inputs"));
    checkExpressions(head.labels, own, inside(here, "labels"));
    checkExpressions(head.compile, own, inside(here, "compile"));
    const outputs = Object.keys(backbone.outputs ?? { out: "" });
    checkPart(head, [...Object.keys(inputs), ...Object.keys(head.inputs ?? {}), ...outputs], own, blocks, here);
  }
  checkCheckpoints(source, names, inside(root, "checkpoints"));
}

function checkConfig(config: Readonly<Record<string, SourceConfigEntry>>, taken: Names, place: Place): void {
  for (const [name, entry] of Object.entries(config)) {
    const here = inside(place, name);
    checkFree(name, taken, here);
    const long = longForm(entry);
    const { min = -Infinity, max = Infinity } = long;
    if (min > max) {
      throw new OnnxHubError("spec/config-value", "The least value is above the greatest", {
        path: where(here),
        expected: `at most ${max}`,
        found: describe(min),
      });
    }
    if (long.default !== undefined) checkValue(long, long.default, inside(here, "default"));
  }
}

function symbolsOf(inputs: Readonly<Record<string, SourceInput>>): string[] {
  return [
    ...new Set(Object.values(inputs).flatMap(({ shape }) => shape).filter((dim) => typeof dim === "string" && /^\w+$/.test(dim))),
  ] as string[];
}

function checkInputs(inputs: SpecSource["inputs"], all: SpecSource["inputs"], names: Names, place: Place): void {
  checkExpressions(inputs, names, place);
  for (const [name, { below }] of Object.entries(inputs)) {
    if (typeof below === "string") checkKnown(below, symbolsOf(all), "symbol", inside(inside(place, name), "below"));
  }
}

/** Throws "spec/cycle" for a block that comes to itself. */
function checkCycles({ blocks = {} }: SpecSource, root: Place): void {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[], place: Place): void => {
    if (path.includes(name)) {
      throw new OnnxHubError("spec/cycle", `The block \`${name}\` uses itself`, {
        path: where(place),
        found: [...path.slice(path.indexOf(name)), name].join(" → "),
        remedy: "Blocks may use other blocks, never themselves: use `repeat`.",
      });
    }
    if (done.has(name)) return;
    const layers: Place = { ...root, path: joinPath(joinPath("blocks", name), "layers") };
    for (const { block, place: here } of usedBlocks(blocks[name].layers, layers)) visit(block, [...path, name], here);
    done.add(name);
  };
  for (const name of Object.keys(blocks)) visit(name, [], inside(inside(root, "blocks"), name));
}

function checkCheckpoints({ checkpoints = {}, heads = {}, config }: SpecSource, names: Names, place: Place): void {
  const { kerashub, huggingface } = checkpoints;
  const tasks = Object.keys(heads);
  const headNames = (task: string) => [...names, "backbone", ...Object.keys(heads[task].config ?? {})];
  const keras = inside(place, "kerashub");
  checkRepeated(kerashub?.groups ?? [], names, inside(keras, "groups"));
  for (const [task, { groups = [] }] of Object.entries(kerashub?.tasks ?? {})) {
    checkKnown(task, tasks, "task", inside(keras, "tasks"));
    checkRepeated(groups, headNames(task), inside(inside(inside(keras, "tasks"), task), "groups"));
  }
  if (!huggingface) return;
  const hugging = inside(place, "huggingface");
  for (const [theirs, ours] of Object.entries(huggingface.config)) {
    checkKnown(ours, Object.keys(config), "configuration value", inside(inside(hugging, "config"), theirs));
  }
  for (const [task, mapping] of Object.entries(huggingface.head_config ?? {})) {
    checkKnown(task, tasks, "task", inside(hugging, "head_config"));
    for (const ours of Object.values(mapping)) {
      checkKnown(ours, Object.keys(heads[task].config ?? {}), "configuration value", inside(inside(hugging, "head_config"), task));
    }
  }
  for (const ours of Object.keys(huggingface.config_read ?? {})) {
    checkKnown(ours, Object.keys(config), "configuration value", inside(hugging, "config_read"));
  }
  checkExpressions(huggingface.config_written ?? {}, names, inside(hugging, "config_written"));
  for (const map of ["head_requires", "heads"] as const) {
    for (const task of Object.keys(huggingface[map] ?? {})) checkKnown(task, tasks, "task", inside(hugging, map));
  }
  checkRepeated(huggingface.weights, names, inside(hugging, "weights"));
  for (const [task, weights] of Object.entries(huggingface.heads ?? {})) {
    checkRepeated(weights, headNames(task), inside(inside(hugging, "heads"), task));
  }
}

type Repeated =
  | NonNullable<SourceCheckpoints["kerashub"]>["groups"][number]
  | NonNullable<SourceCheckpoints["huggingface"]>["weights"][number];

function checkRepeated(entries: readonly Repeated[], names: Names, place: Place): void {
  entries.forEach((entry, i) => {
    const here = inside(place, i);
    const { repeat, as = "i", ...rest } = entry;
    checkExpressions(repeat, names, inside(here, "repeat"));
    if (repeat !== undefined) checkFree(as, [], inside(here, "as"));
    const inner = repeat === undefined ? names : [...names, as];
    if ("groups" in rest) checkRepeated(rest.groups, inner, inside(here, "groups"));
    else if ("weights" in rest) checkRepeated(rest.weights, inner, inside(here, "weights"));
    else checkExpressions(rest, inner, here);
    checkExpressions(rest.when, inner, inside(here, "when"));
  });
}

/** Evaluates a spec for one configuration and task: every expression, every default, every repetition. */

import { nearest, OnnxHubError } from "../errors.ts";
import { type Config, configValues, defined, resolveConfig } from "./config.ts";
import { expandCheckpoints, type TaskScope } from "./expansion/checkpoints.ts";
import { LayerExpander, withLets } from "./expansion/layers.ts";
import { inside } from "./expansion/repeat.ts";
import { evaluateAll, type Place, type Scope, where } from "./expressions.ts";
import { canonical } from "./hash.ts";
import { check } from "./schema/check.ts";
import { plainValues } from "./schema/values.ts";
import type { Json, SourceHead, SourceInput, SourceKerasObject, SourceTokenizer, Spec } from "./source.ts";
import { checkReferences } from "./weights.ts";
import type { ConfigValue, ExpandedHead, ExpandedInput, ExpandedSpec, ExpandedTokenizer } from "./types.ts";

/** What to expand a spec for. */
export interface ExpandOptions {
  /** Hyperparameters, in snake case as the spec names them; the others take their defaults. */
  readonly config?: Config;
  /** The head to add: "masked_lm". Default: none, the backbone alone. */
  readonly task?: string;
  /** The head's own hyperparameters. */
  readonly taskConfig?: Config;
}

/**
 * The spec with every expression evaluated and every default filled in, for one configuration and at most one head.
 * Expanding the result again gives it back.
 *
 * A block that is used many times stays one definition under `blocks`; where its parameters differ from instance to instance
 * there is one definition for each set of them, `block`, `block__2`, ….
 *
 * Throws "spec/…" errors that name the file and the JSON path.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * const roberta = await spec.load("roberta");
 * const expanded = spec.expand(roberta, {
 *   config: { vocabulary_size: 100, num_layers: 2, num_heads: 2, hidden_dim: 16, intermediate_dim: 32 },
 *   task: "masked_lm",
 * });
 * console.log(expanded.backbone.layers.length, Object.keys(expanded.blocks));
 * ```
 */
export function expand(spec: Spec | ExpandedSpec, options: ExpandOptions = {}): ExpandedSpec {
  if ("expanded" in spec) return sameAgain(spec, options);
  const { file, source } = spec;
  const root: Place = { file, path: "" };
  const config = resolveConfig(source.config, options.config ?? {}, { file, path: "config" });
  const scope = withLets(source.let, { name: source.name, ...configValues(config) } as Scope, inside(root, "let"));
  const inputs = expandInputs(source.inputs, scope, inside(root, "inputs"));
  const expander = new LayerExpander(source.blocks ?? {}, scope, file);
  const backbone = expander.part(source.backbone, Object.keys(inputs), null, scope, inside(root, "backbone"));
  const head = headOf(spec, options, scope);
  const expandedHead = head && expandHead(head, expander, inputs, Object.keys(backbone.outputs), inside(inside(root, "heads"), head.task));
  const expanded: ExpandedSpec = {
    expanded: true,
    name: source.name,
    description: source.description ?? "",
    config,
    inputs,
    limits: Object.fromEntries(
      Object.entries(source.limits ?? {}).map(([symbol, limit]) => {
        const here = inside(inside(root, "limits"), symbol);
        return [symbol, check<number>(plainValues.size, evaluateAll(limit, scope, here), here)];
      }),
    ),
    blocks: expander.blocks,
    backbone,
    head: expandedHead,
    tokenizer: source.tokenizer ? expandTokenizer(source.tokenizer) : null,
    checkpoints: expandCheckpoints(source.checkpoints ?? {}, scope, head, inside(root, "checkpoints")),
  };
  checkReferences(expanded, file);
  return expanded;
}

interface HeadScope extends TaskScope {
  readonly source: SourceHead;
  readonly config: ExpandedHead["config"];
}

function headOf({ file, source }: Spec, { task, taskConfig = {} }: ExpandOptions, scope: Scope): HeadScope | null {
  if (task === undefined) {
    if (Object.keys(taskConfig).length === 0) return null;
    throw new OnnxHubError("spec/unknown-task", "`taskConfig` was given, but no `task`", {
      path: file,
      remedy: "Say which task it is for.",
    });
  }
  const heads = source.heads ?? {};
  if (!Object.hasOwn(heads, task)) {
    const guess = nearest(task, Object.keys(heads));
    throw new OnnxHubError("spec/unknown-task", `${source.name} has no task \`${task}\``, {
      path: where({ file, path: "heads" }),
      expected: Object.keys(heads).length > 0 ? `one of ${Object.keys(heads).join(", ")}` : "none: it has no heads",
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  }
  const config = resolveConfig(heads[task].config ?? {}, taskConfig, { file, path: `heads.${task}.config` });
  return { task, source: heads[task], config, scope: { ...scope, backbone: scope as Json, ...configValues(config) } as Scope };
}

function expandHead(
  { task, source, config, scope }: HeadScope,
  expander: LayerExpander,
  backboneInputs: Readonly<Record<string, ExpandedInput>>,
  backboneOutputs: readonly string[],
  place: Place,
): ExpandedHead {
  const inputs = expandInputs(source.inputs ?? {}, scope, inside(place, "inputs"));
  const names = [...Object.keys(backboneInputs), ...Object.keys(inputs), ...backboneOutputs];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new OnnxHubError("spec/duplicate-name", `The name \`${twice}\` is taken`, {
      path: where(place),
      expected: "different names for the inputs, the head's inputs and the backbone's outputs",
    });
  }
  const part = expander.part(source, names, backboneOutputs[0], scope, place);
  const { dtype, shape, min = null, max = null } = source.labels;
  const labels = inside(place, "labels");
  const compile = inside(place, "compile");
  return {
    task,
    config,
    inputs,
    ...part,
    labels: {
      dtype,
      shape: check(plainValues.shape, evaluateAll(shape as Json, scope, inside(labels, "shape")), inside(labels, "shape")),
      min: bound(min, scope, inside(labels, "min")),
      max: bound(max, scope, inside(labels, "max")),
    },
    compile: {
      loss: kerasObject(source.compile.loss, scope, inside(compile, "loss")),
      optimizer: kerasObject(source.compile.optimizer, scope, inside(compile, "optimizer")),
      metrics: (source.compile.metrics ?? []).map((metric, i) => kerasObject(metric, scope, inside(inside(compile, "metrics"), i))),
      weighted_metrics: (source.compile.weighted_metrics ?? []).map((metric, i) =>
        kerasObject(metric, scope, inside(inside(compile, "weighted_metrics"), i))
      ),
    },
  };
}

function expandInputs(inputs: Readonly<Record<string, SourceInput>>, scope: Scope, place: Place): Record<string, ExpandedInput> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape, fill = "required", min = null, max = null, below }]) => {
      const here = inside(place, name);
      return [name, {
        dtype,
        shape: check(plainValues.shape, evaluateAll(shape as Json, scope, inside(here, "shape")), inside(here, "shape")),
        fill,
        min: bound(min, scope, inside(here, "min")),
        max: bound(max, scope, inside(here, "max")),
        ...defined({ below }),
      } as ExpandedInput];
    }),
  );
}

function bound(value: number | string | null, scope: Scope, place: Place): number | null {
  return check(plainValues.nullable(plainValues.number), evaluateAll(value, scope, place), place);
}

function kerasObject({ name, config = {} }: SourceKerasObject, scope: Scope, place: Place): Required<SourceKerasObject> {
  return { name, config: evaluateAll(config as Json, scope, inside(place, "config")) as Record<string, ConfigValue> };
}

function expandTokenizer({ remap = "none", separators = 1, ...rest }: SourceTokenizer): ExpandedTokenizer {
  return { ...rest, remap, separators };
}

/** An expanded spec is its own expansion; options that say something else are an error. */
function sameAgain(spec: ExpandedSpec, { config = {}, task, taskConfig = {} }: ExpandOptions): ExpandedSpec {
  const differs = (values: Config, entries: ExpandedSpec["config"]) =>
    Object.entries(values).find(([name, value]) => !(name in entries) || canonical(entries[name].value) !== canonical(value))?.[0];
  const wrong = differs(config, spec.config) ?? differs(taskConfig, spec.head?.config ?? {}) ??
    (task !== undefined && task !== spec.head?.task ? "task" : undefined);
  if (wrong === undefined) return spec;
  throw new OnnxHubError("spec/already-expanded", `${spec.name} is expanded already, with another \`${wrong}\``, {
    remedy: "Expand the spec that it came from.",
  });
}

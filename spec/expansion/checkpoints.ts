/** Expands the names that weights bear in the files of others. */

import { evaluateAll, type Place, type Scope } from "../expressions.ts";
import type { Json, SourceCheckpoints, SourceClass, SourceHuggingFaceWeight, SourceKerasGroup } from "../source.ts";
import type { ExpandedCheckpoints, ExpandedHuggingFaceWeight, ExpandedKerasGroup } from "../types.ts";
import { defined } from "../config.ts";
import { text } from "./layers.ts";
import { inside, repetitions } from "./repeat.ts";

/** What a task adds to the backbone's scope. */
export interface TaskScope {
  readonly task: string;
  readonly scope: Scope;
}

/** The checkpoints of a spec, with the head's names of the one task that was asked for. */
export function expandCheckpoints(source: SourceCheckpoints, scope: Scope, head: TaskScope | null, place: Place): ExpandedCheckpoints {
  const { kerashub, huggingface } = source;
  return defined({
    kerashub: kerashub && expandKerasHub(kerashub, scope, head, inside(place, "kerashub")),
    huggingface: huggingface && expandHuggingFace(huggingface, scope, head, inside(place, "huggingface")),
  });
}

type KerasHub = NonNullable<SourceCheckpoints["kerashub"]>;
type HuggingFace = NonNullable<SourceCheckpoints["huggingface"]>;

function expandKerasHub(source: KerasHub, scope: Scope, head: TaskScope | null, place: Place): ExpandedCheckpoints["kerashub"] {
  const tasks = Object.entries(source.tasks ?? {}).map(([task, { groups: _, preprocessor, ...names }]) =>
    [task, { ...names, ...defined({ preprocessor }) }] as const
  );
  const headGroups = head ? source.tasks?.[head.task]?.groups ?? [] : [];
  return {
    backbone: source.backbone,
    ...defined({ tokenizer: source.tokenizer as SourceClass | undefined }),
    tasks: Object.fromEntries(tasks),
    groups: source.groups.flatMap((group, i) => kerasGroups(group, scope, inside(inside(place, "groups"), i))),
    head_groups: headGroups.flatMap((group, i) => kerasGroups(group, head!.scope, inside(inside(place, `tasks.${head!.task}.groups`), i))),
  };
}

function kerasGroups(entry: SourceKerasGroup, scope: Scope, place: Place): ExpandedKerasGroup[] {
  return repetitions(entry, scope, place).flatMap((each) => {
    if ("groups" in entry) return entry.groups.flatMap((group, i) => kerasGroups(group, each, inside(inside(place, "groups"), i)));
    return [{
      group: text(entry.group, each, inside(place, "group")),
      name: text(entry.name, each, inside(place, "name")),
      vars: texts(entry.vars, each, inside(place, "vars")),
      legacy: texts(entry.legacy, each, inside(place, "legacy")),
    }];
  });
}

function expandHuggingFace(source: HuggingFace, scope: Scope, head: TaskScope | null, place: Place): ExpandedCheckpoints["huggingface"] {
  const headWeights = head ? source.heads?.[head.task] ?? [] : [];
  return {
    model_type: source.model_type,
    ...defined({ tokenizer_class: source.tokenizer_class }),
    config: source.config,
    ...defined({ config_offsets: source.config_offsets, config_values: source.config_values, head_config: source.head_config }),
    weights: [
      ...source.weights.flatMap((weight, i) => tensors(weight, scope, inside(inside(place, "weights"), i))),
      ...headWeights.flatMap((weight, i) => tensors(weight, head!.scope, inside(inside(place, `heads.${head!.task}`), i))),
    ],
  };
}

function tensors(entry: SourceHuggingFaceWeight, scope: Scope, place: Place): ExpandedHuggingFaceWeight[] {
  return repetitions(entry, scope, place).flatMap((each) => {
    if ("weights" in entry) return entry.weights.flatMap((weight, i) => tensors(weight, each, inside(inside(place, "weights"), i)));
    const { weight, tensor, aliases, transform = "none", skip_rows = 0, add_row, add_row_aliases, optional } = entry;
    return [{
      weight: text(weight, each, inside(place, "weight")),
      tensor: text(tensor, each, inside(place, "tensor")),
      aliases: texts(aliases, each, inside(place, "aliases")),
      transform,
      skip_rows,
      ...(add_row === undefined ? {} : { add_row: text(add_row, each, inside(place, "add_row")) }),
      ...(add_row_aliases ? { add_row_aliases: texts(add_row_aliases, each, inside(place, "add_row_aliases")) } : {}),
      ...defined({ optional }),
    }];
  });
}

function texts(templates: readonly string[] | undefined, scope: Scope, place: Place): string[] {
  return evaluateAll((templates ?? []) as Json, scope, place) as string[];
}

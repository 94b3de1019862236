/** Which class stands for which architecture and task; the generated classes enter themselves. */

import { OnnxHubError } from "../errors.ts";
import type { Backbone, BackboneClass } from "./backbone.ts";
import type { PreprocessorClass } from "./preprocessor.ts";
import type { Task, TaskClass } from "./task.ts";
import type { TokenizerClass } from "./tokenizer.ts";

/** The classes of one architecture. */
export interface ArchitectureClasses {
  /** The spec's name. */
  readonly architecture: string;
  readonly backbone: BackboneClass<Backbone>;
  readonly tokenizer: TokenizerClass | null;
  /** By task name ("masked_lm"). */
  readonly tasks: Readonly<Record<string, { readonly task: TaskClass<Task>; readonly preprocessor: PreprocessorClass | null }>>;
}

const registry = new Map<string, ArchitectureClasses>();

/** Enters an architecture's classes. */
export function registerArchitecture(classes: ArchitectureClasses): void {
  registry.set(classes.architecture, classes);
}

/** The architectures that have classes. */
export function registeredArchitectures(): readonly string[] {
  return [...registry.keys()];
}

/** The classes of an architecture; throws "model/no-architecture". */
export function classesOf(architecture: string): ArchitectureClasses {
  const classes = registry.get(architecture);
  if (classes) return classes;
  throw new OnnxHubError("model/no-architecture", `There are no classes for the architecture ${architecture}`, {
    expected: [...registry.keys()].join(", "),
    found: architecture,
    remedy: "Use `models.fromSpec`.",
  });
}

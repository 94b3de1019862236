/** Which class stands for which architecture and task; the generated classes enter themselves. */

import { OnnxHubError } from "../errors.ts";
import type { Spec } from "../spec/index.ts";
import type { Backbone, BackboneClass, BackboneOptions } from "./backbone.ts";
import type { PreprocessorClass } from "./preprocessor.ts";
import type { Task, TaskClass } from "./task.ts";
import type { Tokenizer, TokenizerClass, TokenizerOptions } from "./tokenizer.ts";

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

/** The base classes, which take any spec. */
export interface BaseClasses {
  readonly backbone: new (spec: Spec, options: BackboneOptions) => Backbone;
  readonly tokenizer: new (spec: Spec, options: TokenizerOptions) => Tokenizer;
  readonly tasks: ArchitectureClasses["tasks"];
}

let base: BaseClasses | null = null;

/** Enters the base classes. */
export function registerBaseClasses(classes: BaseClasses): void {
  base = classes;
}

/** The base classes in the form of an architecture's, for a spec that has none of its own. */
export function baseClasses(spec: Spec): ArchitectureClasses {
  const { backbone: Backbone, tokenizer: Tokenizer, tasks } = base!;
  return {
    architecture: spec.source.name,
    backbone: class extends Backbone {
      static readonly architecture = null;
      constructor(options: BackboneOptions) {
        super(spec, options);
      }
    },
    tokenizer: class extends Tokenizer {
      static readonly architecture = null;
      constructor(options: TokenizerOptions) {
        super(spec, options);
      }
    },
    tasks,
  };
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

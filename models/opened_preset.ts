/** A preset whose config.json was read: what every format's reader tells of it. */

import type { PresetSource } from "../presets/source.ts";
import type { Spec } from "../spec/index.ts";
import type { ConfigValue } from "../spec/types.ts";
import type { Backbone } from "./backbone.ts";
import type { ArchitectureClasses } from "./registry.ts";
import type { Task } from "./task.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A saved part: its name, if it has one, and its hyperparameters by their names in the spec. */
export interface SavedPart {
  readonly name?: string;
  readonly config: Readonly<Record<string, ConfigValue>>;
}

/** An open preset. */
export interface OpenedPreset {
  readonly source: PresetSource;
  readonly spec: Spec;
  readonly classes: ArchitectureClasses;
  readonly backbone: SavedPart;
  /** The head that was saved for a task, if any. */
  head(task: string): Promise<SavedPart | undefined>;
  /** The preprocessor's settings for a task, if any were saved. */
  preprocessor(task: string): Promise<SavedPart | undefined>;
  /** The tokenizer; undefined where the preset has none. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** Compares the configuration with the weights that are there, before anything is made of its numbers. */
  checkSizes?(): Promise<void>;
  /** Reads the backbone's weights, of a task's backbone or of one for itself; throws "preset/no-weights" where there are none. */
  readBackbone(backbone: Backbone, task?: Task): Promise<void>;
  /** Reads the head's weights; the paths of those that the preset lacks. */
  readHead(task: Task): Promise<readonly string[]>;
}

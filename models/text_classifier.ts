/** Text classification. */

import { Task, type TaskOptions } from "./task.ts";

/** Options of {@linkcode TextClassifier}. */
export interface TextClassifierOptions extends TaskOptions {
  /** How many classes there are. */
  numClasses: number;
  /** Of the logits: a Keras activation's name; default what the architecture says, mostly none. */
  activation?: string | null;
  /** Dropout before the logits, 0 to 1. */
  dropout?: number;
}

/** Classifies texts. Source: keras_hub.models.TextClassifier. */
export class TextClassifier extends Task {
  /** The spec's name of the task. */
  static override readonly task: string | null = "text_classifier";

  /** A classifier over a backbone. */
  constructor(options: TextClassifierOptions) {
    super(options);
  }
}

/** Causal language modeling: training, and the logits of the next token. */

import { Task, type TaskOptions } from "./task.ts";

/** Options of {@linkcode CausalLM}. */
export type CausalLMOptions = TaskOptions;

/** Predicts each next token. Source: keras_hub.models.CausalLM. */
export class CausalLM extends Task {
  /** The spec's name of the task. */
  static override readonly task: string | null = "causal_lm";

  /** A language model over a backbone. */
  constructor(options: CausalLMOptions) {
    super(options);
  }
}

/** Measurements that are programs of their own: the bench runs them and keeps what they print. */

/** One of them. */
export interface Script {
  /** As the command line and the results call it. */
  readonly name: string;
  readonly title: string;
  /** The file in this folder, and what it is called with. */
  readonly file: string;
  readonly args: readonly string[];
}

/** The table. */
export const SCRIPTS: readonly Script[] = [
  { name: "optimizer", title: "The optimizer's step", file: "optimizer.ts", args: [] },
  { name: "dropout", title: "What dropout costs", file: "dropout.ts", args: [] },
  { name: "quantize", title: "Weights in fewer bits", file: "quantize.ts", args: ["--shape", "e5"] },
  { name: "compile", title: "Compiling a model", file: "compile.ts", args: [] },
  { name: "load", title: "Loading weights", file: "load.ts", args: [] },
  { name: "tokenize", title: "Texts to ids", file: "tokenize.ts", args: [] },
  { name: "prepare", title: "Preparing a batch of texts", file: "prepare.ts", args: [] },
  { name: "webgpu", title: "Training on a GPU", file: "webgpu.ts", args: [] },
];

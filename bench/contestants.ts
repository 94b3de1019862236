/** Who takes part: for each contestant its name, and how its process is started. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Launch } from "./contestant_process.ts";
import type { Measured, ModelShape } from "./workload.ts";

/** Someone who takes part. */
export interface Contestant {
  /** As scenarios and results call it. */
  readonly name: string;
  /** Whether it is this project. */
  readonly ours: boolean;
  /** How it is started, or why it can't be. */
  launch(): Launch | { readonly missing: string };
  /** Bytes that it holds for each of the model's parameters, roughly; says who fits into memory beside whom. */
  readonly bytesPerParameter: Readonly<Partial<Record<Measured, number>>>;
}

const BENCH = fileURLToPath(new URL("./", import.meta.url));

/** The folder with the peers' packages, for `npm ci`. */
export const PEERS = join(BENCH, "peers");

/** Bytes a parameter for whom the table doesn't say. */
const USUAL_BYTES: Readonly<Record<Measured, number>> = { "training step": 24, prediction: 10, "fill-mask": 10, "start-up": 0 };

/** What every process holds. */
const PROCESS_BYTES = 500e6;

/** This runtime's flags: none on Bun. */
const flags = (...deno: string[]): string[] => "Deno" in globalThis ? ["run", "--allow-all", "--no-check", ...deno] : [];

/** This runtime on a file under the project's own configuration. */
const ours = (file: string, ...args: string[]): Launch => ({
  command: process.execPath,
  args: [...flags(`--config=${join(BENCH, "..", "deno.json")}`), join(BENCH, file), ...args],
});

/** This runtime on a file that sees the peers' packages, and nothing of the project's. */
const peer = (file: string, ...args: string[]): Launch | { missing: string } =>
  existsSync(join(PEERS, "node_modules"))
    ? { command: process.execPath, args: [...flags("--no-config", "--no-lock", "--node-modules-dir=manual"), join(PEERS, file), ...args] }
    : { missing: "the peers' packages are not installed: `npm ci --ignore-scripts` in bench/peers" };

/** A Python with the peers, named by the first of these variables that is set. */
const python = (variables: readonly string[], file: string, args: readonly string[], env: Record<string, string>) => {
  const name = variables.find((variable) => process.env[variable]);
  return name === undefined ? { missing: `${variables.join(" or ")} is not set to a Python that has it` } : {
    command: process.env[name]!,
    args: [join(PEERS, file), ...args],
    env,
  };
};

const keras = (backend: string, ...variables: string[]): Pick<Contestant, "name" | "launch"> => ({
  name: `KerasHub, ${backend}`,
  launch: () => python([...variables, "PEERS_PYTHON"], "kerashub.py", [], { KERAS_BACKEND: backend }),
});

/** All of them; scenarios pick. */
export const CONTESTANTS: readonly Contestant[] = [
  ...["native", "wasm", "webgpu"].map((backend): Contestant => ({
    name: `OnnxHub, ${backend}`,
    ours: true,
    // The native backend takes the onnxruntime-node that it finds from where it runs: the one that transformers.js has.
    launch: () => ({ ...ours("ours/model.ts", backend), ...backend === "native" ? { directory: PEERS } : {} }),
    bytesPerParameter: { "training step": 20 },
  })),
  ...["deno", "bun"].map((runtime): Contestant => ({
    name: `OnnxHub, ${runtime} run`,
    ours: true,
    launch: () => ours("ours/start_up.ts", runtime),
    bytesPerParameter: {},
  })),
  { ...keras("jax"), ours: false, bytesPerParameter: { "training step": 23 } },
  { ...keras("torch"), ours: false, bytesPerParameter: { "training step": 32 } },
  { ...keras("tensorflow", "PEERS_TENSORFLOW_PYTHON"), ours: false, bytesPerParameter: { "training step": 28 } },
  {
    name: "PyTorch",
    ours: false,
    launch: () => python(["PEERS_PYTHON"], "pytorch.py", [], {}),
    bytesPerParameter: { "training step": 22 },
  },
  { name: "jax-js", ours: false, launch: () => peer("jax_js.ts"), bytesPerParameter: {} },
  ...["wasm", "cpu"].map((backend): Contestant => ({
    name: `TensorFlow.js, ${backend}`,
    ours: false,
    launch: () => peer("tensorflow_js.ts", backend),
    bytesPerParameter: {},
  })),
  ...["OnnxHub", "transformers.js"].map((library): Contestant => ({
    name: `${library}, Chromium`,
    ours: library === "OnnxHub",
    launch: () => {
      const launch = peer("chromium.ts");
      return "missing" in launch ? launch : { ...launch, shared: { key: "chromium", lane: library.toLowerCase() } };
    },
    bytesPerParameter: {},
  })),
  { name: "transformers.js, cpu", ours: false, launch: () => peer("transformers_js.ts"), bytesPerParameter: {} },
];

/** A contestant by its name. Throws a RangeError for one that isn't in the table. */
export function contestant(name: string): Contestant {
  const found = CONTESTANTS.find((one) => one.name === name);
  if (!found) throw new RangeError(`There is no contestant ${name}`);
  return found;
}

/** How many parameters an encoder of this shape has, its small vectors aside. */
export function parameterCount({ vocabularySize, numLayers, hiddenDim, intermediateDim, maxSequenceLength }: ModelShape): number {
  const layer = 4 * hiddenDim ** 2 + 2 * hiddenDim * intermediateDim;
  return (vocabularySize + maxSequenceLength + hiddenDim) * hiddenDim + numLayers * layer;
}

/** The memory that a contestant will hold, roughly, in bytes. */
export function expectedBytes({ bytesPerParameter }: Contestant, measured: Measured, shape: ModelShape): number {
  return PROCESS_BYTES + parameterCount(shape) * (bytesPerParameter[measured] ?? USUAL_BYTES[measured]);
}

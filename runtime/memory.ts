/** What a program will take of memory, held against what there is, before anything is allocated. */

import type { Compiled } from "../codegen/compile.ts";
import { bytesOf, residentBytes, type Sizes } from "../codegen/cost.ts";
import type { Graph, Value } from "../codegen/ir/types.ts";
import type { StageTensor } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import type { BackendName } from "./backend.ts";
import type { Staying } from "./runner.ts";
import { machineMemory } from "./machine_memory.ts";

/** WebAssembly's 32-bit memory. */
const WASM_HEAP = 2 ** 32;

/**
 * What onnxruntime takes for a byte of tensors: its arena grows in powers of two, and matrix products pack their operands. Measured on
 * XLM-R base: 2.2 GB for 1.7 GB of tensors.
 */
const OVERHEAD = 1.3;

/** The bytes of a backend's memory that a run of these graphs, one after the other, takes at most. */
export function foreseenBytes(graphs: readonly Graph[], sizes: Sizes): number {
  return OVERHEAD * Math.max(...graphs.map((graph) => residentBytes(graph, sizes)));
}

/** The bytes that a run of a program takes of a heap where its weights live and, so far as `stays` says, what it computes stays. */
export function foreseenInHeap({ program, stageGraphs }: Pick<Compiled, "program" | "stageGraphs">, sizes: Sizes, stays: Staying): number {
  const stages = program.stages.map(({ inputs, outputs }, at) => {
    const { inputs: given, outputs: results } = stageGraphs[at];
    const names = (tensors: readonly StageTensor[]) => new Set(tensors.map(({ tensor, name }) => tensor ?? name));
    const bytes = (values: readonly Value[]) => values.reduce((sum, value) => sum + bytesOf(value, sizes), 0);
    const there = names(inputs.filter(({ role }) => role === "weight" || stays === "all" && role === "stash"));
    const left = names(outputs.filter(({ role }) => stays === "all" && role === "stash"));
    return {
      left: bytes(results.flatMap(({ name, value }) => left.has(name) ? [value] : [])),
      own: residentBytes(stageGraphs[at], sizes) - bytes(given.filter(({ name }) => there.has(name))),
    };
  });
  const weights = program.weights.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  return stages.reduce((sum, { left }) => sum + left, weights) + OVERHEAD * Math.max(...stages.map(({ own }) => own));
}

/**
 * The bytes of WebAssembly's heap that {@linkcode foreseenInHeap} may reach where others hold so many. Not all of it: a run's memory is kept for the next
 * one, and evaluation has its own.
 */
export function roomInHeap(othersBytes: number): number {
  return 0.75 * WASM_HEAP - othersBytes;
}

/** The bytes that graphs can take on a backend: a heap's, the machine's; Infinity for a GPU, which says itself what it has. */
export function memoryOf(backend: BackendName): number {
  return backend === "wasm" ? WASM_HEAP : backend === "native" ? machineMemory() : Infinity;
}

/**
 * Throws "backend/memory" where a model's weights and what an optimizer keeps for those that it trains are more than the machine has: with how much both
 * are, and what would fit.
 */
export function requireHostMemory(weightBytes: number, keptBytes: number, memory: number = machineMemory()): void {
  if (weightBytes + keptBytes <= memory) return;
  throw new OnnxHubError("backend/memory", "The weights and what the optimizer keeps for them need more memory than the machine has", {
    path: "compile.optimizer",
    expected: `at most ${gibibytes(memory)}`,
    found: `${gibibytes(weightBytes)} of weights, ${gibibytes(keptBytes)} beside them`,
    remedy: weightBytes <= memory
      ? "An optimizer that keeps nothing (SGD without momentum) would fit, or train fewer weights: `backbone.trainable = false`."
      : "Take a smaller model.",
  });
}

/**
 * What a plan may take where another one takes less: XLM-R base in one graph takes 0.7 GB more of the machine's memory than in stages, and is a
 * twentieth faster.
 */
const COMFORTABLE = 0.5;

/**
 * The first of the plans whose graphs fit, all but the last one comfortably: into half of the memory. They are tried in order, and each is made only
 * when it is its turn.
 *
 * Throws "backend/memory" where none fits, with how much is needed, how much there is, and the largest batch that would fit.
 */
export function firstThatFits<T extends { readonly stageGraphs: readonly Graph[] }>(
  plans: readonly (() => T)[],
  backend: BackendName,
  sizes: Sizes,
): T {
  const limit = memoryOf(backend);
  let graphs: readonly Graph[] = [];
  for (const [at, make] of plans.entries()) {
    const plan = make();
    graphs = plan.stageGraphs;
    const room = at < plans.length - 1 ? COMFORTABLE * limit : limit;
    if (limit === Infinity || foreseenBytes(graphs, sizes) <= room) return plan;
  }
  throw new OnnxHubError("backend/memory", `A batch of this size needs more memory than the backend "${backend}" has`, {
    path: Object.entries(sizes).map(([symbol, size]) => `${symbol} ${size}`).join(", "),
    expected: `at most ${gibibytes(limit)}`,
    found: `about ${gibibytes(foreseenBytes(graphs, sizes))}`,
    remedy: remedy(graphs, sizes, limit, backend),
  });
}

function remedy(graphs: readonly Graph[], sizes: Sizes, limit: number, backend: BackendName): string {
  const others = backend === "wasm" ? ['the backend "native" or "webgpu"'] : [];
  for (const symbol of ["batch", "sequence"]) {
    const fits = largest(sizes[symbol] ?? 1, (size) => foreseenBytes(graphs, { ...sizes, [symbol]: size }) <= limit);
    if (fits > 0) return [`A ${symbol} of ${fits} would fit`, ...others.map((other) => `so may ${other}`)].join("; ") + ".";
  }
  return `No batch of this model fits: use ${[...others, "a smaller model"].join(", or ")}.`;
}

/** The largest whole number below `from` for which a condition holds that holds for all smaller ones; 0 for none. */
function largest(from: number, holds: (size: number) => boolean): number {
  let [low, high] = [0, from];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

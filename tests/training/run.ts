/** A training context for tests: an engine, printed text kept, warnings kept. */

import { OnnxHubError } from "../../errors.ts";
import type { TrainingContext } from "../../training/context.ts";
import { LinearEngine } from "./linear_engine.ts";

/** A context whose output can be read. */
export interface TestContext extends TrainingContext {
  readonly engine: LinearEngine;
  readonly printed: string[];
  readonly warnings: string[];
}

/** A context on an engine of 3 inputs. */
export function context(options: Partial<TrainingContext> & { engine?: LinearEngine } = {}): TestContext {
  const printed: string[] = [];
  const warnings: string[] = [];
  return {
    seed: 1,
    inputs: [{ name: "x", required: true }],
    metricDirections: { within_one: "up" },
    console: { write: (text) => void printed.push(text), warn: (text) => void warnings.push(text), clock: () => 1e9, dynamic: true },
    ...options,
    engine: options.engine ?? new LinearEngine(3),
    printed,
    warnings,
  };
}

/** Whether an error is ours, with this code, and says this. */
export function failure(code: string, ...says: readonly RegExp[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof OnnxHubError)) throw error;
    const missed = says.find((pattern) => !pattern.test(error.message));
    if (error.code !== code || missed) throw new Error(`${error.code}: ${error.message} — expected ${code} ${missed ?? ""}`);
    return true;
  };
}

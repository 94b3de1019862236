/** What makes training outlive its device: copies on the host now and then, and the steps since the last one, to be computed again. */

import { OnnxHubError } from "../errors.ts";
import { isLoss } from "../runtime/device_loss.ts";
import { machineMemory } from "../runtime/machine_memory.ts";
import type { DeviceOptimizer, OptimizerMark } from "../runtime/optimizer/device_optimizer.ts";
import type { DeviceTrainer, Parameters } from "../runtime/parameters.ts";
import type { Batch, BatchResult } from "./engine.ts";
import { StepLog } from "./step_log.ts";

/** The share of the time that copies to the host may take where nobody says how often they are made. */
const COPYING = 0.05;

/** The most bytes of batches that are kept; then a copy is due. */
const BATCHES = 2 ** 26;

/** The most bytes that an optimizer's state may take on the host: nobody says how much memory a page has, or Deno without permission to ask. */
const STATE = 2 ** 32;

/** The most bytes of an optimizer's state that the host has room for twice, the copy before and the one that is made. */
const STATE_TWICE = 2 ** 30;

/** What a recovery is made from. */
export interface DeviceRecoveryOptions {
  readonly parameters: Parameters;
  readonly optimizer: DeviceOptimizer;
  /** Copies are made after every so many steps; by default as often as takes a twentieth of the time. */
  readonly syncEvery?: number;
  /** Forward, backward, update. */
  readonly run: (batch: Batch, step: number) => Promise<BatchResult>;
  /** Forgets the device: the next step opens another one. */
  readonly leave: () => void;
}

/**
 * Runs the steps of one training on a device. The host has weights and optimizer as they were after some step (the weights in `parameters`), and the
 * batches that came after it: once the device is lost, they are computed again on another one, as often as there is one.
 */
export class DeviceRecovery implements DeviceTrainer {
  readonly #options: DeviceRecoveryOptions;
  readonly #log = new StepLog();
  /** Whether the host has room for the optimizer's state. */
  readonly #keepsState: boolean;
  readonly #isCopiedTwice: boolean;
  /** The optimizer as of the copy. */
  #mark: OptimizerMark | null = null;
  /** How many steps the copy has seen. */
  #copied = 0;
  /** `parameters.written` as of the copy. */
  #written = -1;
  /** When the next copy is worth its time: at once, then as the last one took. */
  #next = 0;
  #recoveries = 0;
  #isRecovering = false;

  /** Copies nothing yet. */
  constructor(options: DeviceRecoveryOptions) {
    this.#options = options;
    const { stateBytes } = options.optimizer;
    this.#keepsState = stateBytes <= Math.min(STATE, machineMemory() / 4);
    this.#isCopiedTwice = stateBytes <= STATE_TWICE;
  }

  /** A step, done again where the device is lost in it. Throws "backend/device-lost" where it is lost for good. */
  async step(batch: Batch, step: number): Promise<BatchResult> {
    const { run, optimizer, parameters } = this.#options;
    // Somebody else wrote weights, or has them on the host: from here on that counts.
    if (!parameters.isTrainedBy(this) || parameters.written !== this.#written) await this.#begin();
    const learningRate = optimizer.hasSchedule ? null : optimizer.learningRate;
    const result = await this.#onceMore(() => run(batch, step));
    if (this.#mark) this.#log.add({ batch, step, learningRate });
    if (this.#isDue()) await this.copy();
    return result;
  }

  #isDue(): boolean {
    const { optimizer: { batches }, syncEvery } = this.#options;
    if (this.#log.bytes > BATCHES) return true;
    return syncEvery === undefined ? performance.now() >= this.#next : batches % syncEvery === 0;
  }

  /** Is told that the weights became their averages. */
  addFinalized(): void {
    if (this.#mark && !this.#isRecovering) this.#log.addFinalized();
  }

  /** Takes over from whoever else trained or wrote the weights. */
  async #begin(): Promise<void> {
    const { parameters } = this.#options;
    if (!parameters.isTrainedBy(this)) {
      await parameters.sync();
      parameters.trainBy(this);
    }
    await this.copy();
  }

  /** See {@linkcode DeviceTrainer}. */
  async copy(): Promise<void> {
    const { parameters, optimizer } = this.#options;
    if (this.#isRecovering) return await parameters.fetch();
    const start = performance.now();
    let mark: OptimizerMark | null;
    let recoveries: number;
    do {
      recoveries = this.#recoveries;
      const older = this.#isCopiedTwice ? null : this.#mark;
      if (older) this.#mark = null;
      // The weights come last: until the host has those, the copy before is whole, but for a state that is copied over it.
      mark = this.#keepsState ? await this.#onceMore(() => optimizer.mark(older)) : null;
      await this.#onceMore(() => parameters.fetch());
    } while (recoveries !== this.#recoveries);
    this.#mark = mark;
    this.#copied = optimizer.batches;
    this.#written = parameters.written;
    this.#log.clear();
    const end = performance.now();
    this.#next = Math.max(this.#next, end + (end - start) * (1 / COPYING - 1));
  }

  /** Does something, again where the device is lost in it. */
  async #onceMore<T>(body: () => Promise<T>): Promise<T> {
    return await body().catch(async (error) => {
      if (!isLoss(error)) throw error;
      await this.#recover(error);
      return await body().catch(async (error) => {
        throw isLoss(error) ? await this.#giveUp(error, this.#options.optimizer.batches) : error;
      });
    });
  }

  /** Computes on another device what was lost with this one. */
  async #recover(loss: OnnxHubError): Promise<void> {
    const { parameters, optimizer, run, leave } = this.#options;
    const mark = this.#mark;
    const done = optimizer.batches;
    if (!mark || parameters.written !== this.#written) throw await this.#giveUp(loss, done);
    const rate = optimizer.hasSchedule ? null : optimizer.learningRate;
    this.#isRecovering = true;
    try {
      this.#recoveries++;
      await this.#drop();
      leave();
      optimizer.restart(mark);
      for (const entry of this.#log.entries) {
        if (entry === "finalized") await optimizer.finalizeWeights();
        else {
          if (entry.learningRate !== null) optimizer.learningRate = entry.learningRate;
          await run(entry.batch, entry.step);
        }
      }
      if (rate !== null) optimizer.learningRate = rate;
    } catch (error) {
      // Whatever else failed, the new device has what was computed so far.
      if (!isLoss(error)) this.#copied = optimizer.batches;
      throw await this.#giveUp(loss, done, error);
    } finally {
      this.#isRecovering = false;
    }
    const again = done - mark.batches;
    console.warn(
      `The GPU was lost after training step ${done}: ${loss.found ?? loss.message}. Training goes on with a new one${
        again === 0 ? "" : `, where what came after step ${mark.batches} was computed again`
      }.`,
    );
  }

  /** What lost devices had is gone: from now on the host's copy counts. */
  async #drop(): Promise<void> {
    await this.#options.parameters.fetch().catch(() => {});
  }

  /** The error of a loss that can't be made good. A next step begins with what the host has. */
  async #giveUp(loss: OnnxHubError, done: number, cause: unknown = loss): Promise<OnnxHubError> {
    await this.#drop();
    this.#mark = null;
    this.#written = -1;
    this.#log.clear();
    return new OnnxHubError("backend/device-lost", `The GPU was lost for good after training step ${done}`, {
      found: loss.found,
      remedy:
        `The model has the weights of step ${this.#copied}, which were copied last: save them, or train on from them; the optimizer begins anew.`,
      cause,
    });
  }

  /** Recovers nothing any more. */
  dispose(): void {
    this.#options.parameters.endTrainingBy(this);
    this.#log.clear();
    this.#mark = null;
  }
}

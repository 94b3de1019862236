/** The callback that lets a killed `fit` go on where it was. */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import { writeFileAtomic } from "../../formats/atomic.ts";
import { Callback, type Position } from "./callback.ts";
import { checkOptions } from "./monitor_callback.ts";

/** What {@linkcode BackupAndRestore} takes. */
export interface BackupAndRestoreOptions {
  /** A directory of its own; made where it doesn't exist. */
  readonly backupDir: string;
  /** "epoch", or every how many batches. Default: "epoch". */
  readonly saveFreq?: "epoch" | number;
  /** Whether the state before the last is kept too, for the case that the last one can't be read. Default: false. */
  readonly doubleCheckpoint?: boolean;
  /** Whether the backup is deleted when `fit` comes to its end. Default: true. */
  readonly deleteCheckpoint?: boolean;
}

/** The pointer to the latest state. It is replaced in one step after the state is on the disk whole, so the pair can't disagree. */
const METADATA = "training_metadata.json";
const PREVIOUS = "training_metadata.json.bkp";
const STATE = /^state-\d+-\d+(-b)?\.safetensors$/;
/** A state, or what a killed process left of writing one or a pointer. */
const STATE_OR_PART = /^(state-\d+-\d+(-b)?\.safetensors|\.(state-\d+-\d+|training_metadata\.json).*\.saving$)/;

/** What the pointer says. */
interface Metadata extends Position {
  readonly state: string;
}

/**
 * Saves the training state as it goes, and restores it when the same `fit` is started again after the process died, as Keras' `BackupAndRestore`.
 *
 * More than Keras does: with `saveFreq` in batches the run goes on in the middle of the epoch, with the same order of data, the same random
 * numbers and the same sums behind its logs, so that it ends with the bits of a run that was never killed. (What other callbacks keep in memory
 * – EarlyStopping's patience, History – starts anew, as in Keras.)
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const backup = new callbacks.BackupAndRestore({ backupDir: "backup", saveFreq: 100 });
 * console.log(backup.backupDir);
 * ```
 */
export class BackupAndRestore extends Callback {
  readonly backupDir: string;
  readonly saveFreq: "epoch" | number;
  readonly doubleCheckpoint: boolean;
  readonly deleteCheckpoint: boolean;
  #sinceSaving = 0;

  /** Takes the directory alone too. Throws "training/option" for an empty directory name or a wrong `saveFreq`. */
  constructor(options: BackupAndRestoreOptions | string) {
    super();
    const named: BackupAndRestoreOptions = typeof options === "string" ? { backupDir: options } : options;
    checkOptions("BackupAndRestore", named, ["backupDir", "saveFreq", "doubleCheckpoint", "deleteCheckpoint"]);
    if (!named.backupDir) {
      throw new OnnxHubError("training/option", "Empty `backupDir` argument passed", {
        path: "BackupAndRestore.backupDir",
        expected: "a directory's path",
      });
    }
    this.backupDir = named.backupDir;
    this.saveFreq = named.saveFreq ?? "epoch";
    this.doubleCheckpoint = named.doubleCheckpoint ?? false;
    this.deleteCheckpoint = named.deleteCheckpoint ?? true;
    if (this.saveFreq !== "epoch" && !(Number.isInteger(this.saveFreq) && this.saveFreq > 0)) {
      throw new OnnxHubError("training/option", "Invalid value for argument `saveFreq`", {
        path: "BackupAndRestore.saveFreq",
        expected: '"epoch" or a number of batches',
        found: String(this.saveFreq),
      });
    }
  }

  /** It saves what the other callbacks leave behind: the learning rate that one of them lowered, for one. */
  override get runsLast(): boolean {
    return true;
  }

  /** Restores, where there is something to restore. */
  override async onTrainBegin(): Promise<void> {
    this.#sinceSaving = 0;
    if (!existsSync(join(this.backupDir, METADATA))) return;
    try {
      await this.#restore(METADATA);
    } catch (error) {
      if (!existsSync(join(this.backupDir, PREVIOUS))) throw unreadable(this.backupDir, error);
      await this.#restore(PREVIOUS);
    }
  }

  /** Counts the batches. */
  override async onTrainBatchEnd(): Promise<void> {
    if (this.saveFreq === "epoch" || ++this.#sinceSaving < this.saveFreq) return;
    this.#sinceSaving = 0;
    await this.#save(this.model.position);
  }

  /** Saves. */
  override async onEpochEnd(epoch: number): Promise<void> {
    if (this.saveFreq === "epoch") await this.#save({ epoch: epoch + 1, batch: 0, sums: {} });
  }

  /** Deletes what it wrote, and the directory if nothing else is in it. */
  override onTrainEnd(): void {
    if (!this.deleteCheckpoint || !existsSync(this.backupDir)) return;
    rmSync(join(this.backupDir, METADATA), { force: true });
    rmSync(join(this.backupDir, PREVIOUS), { force: true });
    this.#removeStates([]);
    if (readdirSync(this.backupDir).length === 0) rmdirSync(this.backupDir);
  }

  async #save(position: Position): Promise<void> {
    mkdirSync(this.backupDir, { recursive: true });
    const before = this.#stateOf(METADATA);
    let state = `state-${position.epoch}-${position.batch}.safetensors`;
    if (state === before) state = `state-${position.epoch}-${position.batch}-b.safetensors`;
    await this.model.saveState(join(this.backupDir, state));
    const kept = [state];
    if (this.doubleCheckpoint && before !== undefined) {
      await writeFileAtomic(join(this.backupDir, PREVIOUS), readFileSync(join(this.backupDir, METADATA)));
      kept.push(before);
    }
    const metadata: Metadata = { epoch: position.epoch, batch: position.batch, state, sums: position.sums };
    // NaN and infinities aren't JSON's: as strings, Number() gives them back.
    const text = JSON.stringify(metadata, (_, value) => typeof value === "number" && !Number.isFinite(value) ? String(value) : value);
    await writeFileAtomic(join(this.backupDir, METADATA), new TextEncoder().encode(text));
    this.#removeStates(kept);
  }

  async #restore(file: string): Promise<void> {
    const metadata = readMetadata(join(this.backupDir, file));
    await this.model.loadState(join(this.backupDir, metadata.state));
    this.model.resumeAt(metadata);
  }

  #stateOf(file: string): string | undefined {
    try {
      return readMetadata(join(this.backupDir, file)).state;
    } catch {
      return undefined;
    }
  }

  #removeStates(kept: readonly string[]): void {
    for (const name of readdirSync(this.backupDir)) {
      if (STATE_OR_PART.test(name) && !kept.includes(name)) rmSync(join(this.backupDir, name), { force: true });
    }
  }
}

function readMetadata(path: string): Metadata {
  const read: unknown = JSON.parse(readFileSync(path, "utf8"));
  const { epoch, batch, state, sums } = (read ?? {}) as Partial<Record<keyof Metadata, unknown>>;
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!whole(epoch) || !whole(batch) || typeof state !== "string" || !STATE.test(state) || typeof sums !== "object" || sums === null) {
    throw new OnnxHubError("training/backup", "This is no position of a training run", {
      path,
      expected: '{"epoch", "batch", "state", "sums"}',
      found: JSON.stringify(read).slice(0, 100),
    });
  }
  const entries = Object.entries(sums as Record<string, { total: unknown; count: unknown }>);
  return {
    epoch,
    batch,
    state,
    sums: Object.fromEntries(entries.map(([name, { total, count }]) => [name, { total: Number(total), count: Number(count) }])),
  };
}

function unreadable(directory: string, cause: unknown): OnnxHubError {
  return new OnnxHubError("training/backup", "The backup can't be restored", {
    path: directory,
    found: cause instanceof Error ? cause.message : String(cause),
    remedy: "Delete the directory to start anew; `doubleCheckpoint: true` keeps the state before the last too.",
    cause,
  });
}

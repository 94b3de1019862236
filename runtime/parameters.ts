/** A model's weights, each living once, as a typed array on the JavaScript side. */

import type { WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import { initialize } from "./initializers.ts";
import { release } from "./release.ts";

/** Another place where weights are kept, and may be newer than on the host: the memory of a device. */
export interface WeightHolder {
  /** Reads what is newer there; what it gives writes that into the host's arrays. Throws, once, if there was something newer and it is lost. */
  fetch(): Promise<() => void>;
  /** Lets go of everything that it keeps. */
  dispose(): void;
}

/** Whoever trains weights on a device: what the host is to have comes through it. */
export interface DeviceTrainer {
  /** Brings weights and what else training goes on from to the host: by {@linkcode Parameters.fetch}, after recovering what was lost with its device. */
  copy(): Promise<void>;
}

/** The most elements of one weight: 4 GiB of float32, as much as a backend's heap. */
const ELEMENT_LIMIT = 2 ** 30;

/** How many elements a weight has; throws "model/weight-size" for more than there is room for, before any is made. */
function elements({ path, shape }: WeightInfo): number {
  const count = shape.reduce((a, b) => a * b, 1);
  if (count <= ELEMENT_LIMIT) return count;
  throw new OnnxHubError("model/weight-size", "A weight is too large", {
    path,
    expected: `at most ${ELEMENT_LIMIT} elements`,
    found: `[${shape.join(", ")}]`,
  });
}

/** Values for a weight. */
export interface WeightValues {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * The weights of one model, in KerasHub's order. A weight that nobody has set is initialized when it is first needed: its values are a
 * pure function of the seed and its path, so when does not matter.
 */
export class Parameters {
  readonly #data = new Map<string, Float32Array>();
  readonly #infos = new Map<string, WeightInfo>();
  readonly #holders = new Set<WeightHolder>();
  /** The weights that a holder has newer. */
  readonly #ahead = new Set<string>();
  /** The version as of which a weight of its own changed alone. */
  readonly #changed = new Map<string, number>();
  /** The version as of which any weight may have changed. */
  #allChanged = 0;
  /** The version as of which the host's values changed last. */
  #written = 0;
  #trainer: DeviceTrainer | null = null;
  /** Goes up whenever a weight changes, so that copies know when they are stale. */
  version = 0;

  /** With a `parent`, weights of the backbone part live there: a task's weights over its backbone's. */
  constructor(private readonly seed: number, private readonly parent: Parameters | null = null) {}

  /** The weights' descriptions, in order; the parent's first. */
  get infos(): readonly WeightInfo[] {
    return [...this.parent?.infos ?? [], ...this.#infos.values()];
  }

  /** Declares weights. Those that are there already must have the same shape. */
  ensure(infos: readonly WeightInfo[]): void {
    for (const info of infos) {
      const known = this.#find(info.path);
      if (known && known.shape.join() !== info.shape.join()) {
        throw new OnnxHubError("model/weight-shape", `The weight ${info.path} is there already with another shape`, {
          expected: `[${known.shape.join(", ")}]`,
          found: `[${info.shape.join(", ")}]`,
        });
      }
      if (!known) this.#infos.set(info.path, info);
    }
  }

  #find(path: string): WeightInfo | undefined {
    return this.#infos.get(path) ?? (this.parent ? this.parent.#find(path) : undefined);
  }

  /** Whether a weight of that path is declared. */
  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** A weight's description. */
  info(path: string): WeightInfo {
    const info = this.#find(path);
    if (info) return info;
    throw new OnnxHubError("model/unknown-weight", `There is no weight ${path}`, { path });
  }

  /** The parameters that keep a weight: these, or the parent. */
  owner(path: string): Parameters {
    return this.#infos.has(path) || !this.parent?.has(path) ? this : this.parent.owner(path);
  }

  /** Adds a holder: what {@linkcode sync} asks for newer values. */
  attach(holder: WeightHolder): void {
    this.#holders.add(holder);
  }

  /** Removes a holder. */
  detach(holder: WeightHolder): void {
    this.#holders.delete(holder);
  }

  /** Whether a holder has a newer value of a weight. */
  isAhead(path: string): boolean {
    return this.#ahead.has(path);
  }

  /** Says that a holder has a newer value of a weight, or no longer: the host has it too, or it is lost. */
  setAhead(path: string, isAhead: boolean): void {
    if (!isAhead) this.#ahead.delete(path);
    else if (!this.#ahead.has(path)) {
      this.#ahead.add(path);
      this.version++;
    }
  }

  /**
   * Brings the newest values of all weights to the host, where {@linkcode get} gives them: all or, where that fails, none, so that what the host has is
   * of one step. Nothing to do where no device trains. What was lost with its device is computed again; throws "backend/device-lost" where that can't be:
   * the values on the host count from then on.
   */
  async sync(): Promise<void> {
    if (this.parent && this.parent.#trainer !== this.#trainer) await this.parent.sync();
    await (this.#trainer ? this.#trainer.copy() : this.fetch());
  }

  /** Whether `trainer` is who trained last. */
  isTrainedBy(trainer: DeviceTrainer): boolean {
    return this.#trainer === trainer && (this.parent?.isTrainedBy(trainer) ?? true);
  }

  /** Says who trains from now on, a parent's weights too. */
  trainBy(trainer: DeviceTrainer): void {
    this.#trainer = trainer;
    this.parent?.trainBy(trainer);
  }

  /** Says that somebody no longer trains. */
  endTrainingBy(trainer: DeviceTrainer): void {
    if (this.#trainer === trainer) this.#trainer = null;
    this.parent?.endTrainingBy(trainer);
  }

  /** {@linkcode sync} without whoever trains: throws "backend/device-lost" at once, and values of the host count from then on. */
  async fetch(): Promise<void> {
    const results = await Promise.allSettled(this.#allHolders().map((holder) => holder.fetch()));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    for (const result of results) if (result.status === "fulfilled") result.value();
  }

  #allHolders(): WeightHolder[] {
    return [...this.parent ? this.parent.#allHolders() : [], ...this.#holders];
  }

  /** Goes up when any of the host's values change, its own or a parent's. */
  get written(): number {
    return this.#written + (this.parent?.written ?? 0);
  }

  /** Goes up when the host's values of a weight of its own change. */
  versionOf(path: string): number {
    return Math.max(this.#allChanged, this.#changed.get(path) ?? 0);
  }

  /**
   * A weight's values, to read, or to write in place (then call {@linkcode touch}). While an optimizer trains the weight they may live in a part of
   * a larger buffer, shared with threads or with the runtime: they move there when training begins, and away when it ends ({@linkcode move}), so that the
   * array isn't to be kept. Throws "model/unsynced" while a device has newer ones.
   */
  get(path: string): Float32Array {
    const info = this.#infos.get(path);
    if (!info) {
      if (this.parent?.has(path)) return this.parent.get(path);
      this.info(path);
    }
    if (this.#ahead.has(path)) {
      throw new OnnxHubError("model/unsynced", `The newest values of the weight ${path} are on the device that trains it`, {
        path,
        remedy: "Await `parameters.sync()` first.",
      });
    }
    let data = this.#data.get(path);
    if (!data) {
      elements(info!);
      this.#data.set(path, data = initialize(info!.initializer, info!.shape, this.seed, path));
    }
    return data;
  }

  /** Room for a weight's values that the caller will fill wholly, without initializing them first. */
  room(path: string): Float32Array {
    const info = this.#infos.get(path);
    if (!info) {
      if (this.parent?.has(path)) return this.parent.room(path);
      this.info(path);
    }
    let data = this.#data.get(path);
    if (!data) this.#data.set(path, data = new Float32Array(elements(info!)));
    this.#changed.set(path, this.#written = ++this.version);
    this.#ahead.delete(path);
    return data;
  }

  /**
   * Lets a weight's values live elsewhere: in the copy of them that `copy` makes. Does nothing where they aren't in `from`; that array is freed
   * if it is all of its buffer, or owned.
   */
  move(path: string, from: Float32Array, copy: () => Float32Array): void {
    if (!this.#infos.has(path)) return this.parent?.move(path, from, copy);
    if (this.#data.get(path) !== from) return;
    this.#data.set(path, copy());
    if (from.byteLength === from.buffer.byteLength || !(from.buffer instanceof ArrayBuffer)) release(from);
  }

  /** Says that weights were written in place. */
  touch(): void {
    this.#allChanged = this.#written = ++this.version;
    this.parent?.touch();
  }

  /** Replaces a weight's values; throws "model/weight-shape" for another shape. */
  set(path: string, { shape, data }: WeightValues): void {
    const info = this.info(path);
    if (shape.join() !== info.shape.join()) {
      throw new OnnxHubError("model/weight-shape", `These values don't fit the weight ${path}`, {
        path,
        expected: `[${info.shape.join(", ")}]`,
        found: `[${shape.join(", ")}]`,
      });
    }
    this.room(path).set(data);
  }

  /** Lets go of all values of its own. */
  dispose(): void {
    for (const holder of [...this.#holders]) holder.dispose();
    this.#holders.clear();
    this.#ahead.clear();
    this.#data.clear();
    this.#infos.clear();
  }
}

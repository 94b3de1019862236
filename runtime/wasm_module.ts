/** onnxruntime-web's WebAssembly module, compiled on other threads while this one loads a model. */

import { compileOnnxRuntime } from "./wasm_file.ts";

/** An instance of the module, with the memory that it works in. */
export interface OnnxRuntimeInstance {
  readonly exports: WebAssembly.Exports;
  readonly memory: WebAssembly.Memory;
}

/** A module that is prepared once, for one instance. */
export class AheadOfTimeModule {
  #begun = false;
  #compiling: Promise<WebAssembly.Module> | null = null;
  #instance: OnnxRuntimeInstance | null = null;

  /** The instance, once there is one. */
  get instance(): OnnxRuntimeInstance | null {
    return this.#instance;
  }

  /**
   * Begins to compile the module, which takes 80 to 250 ms on threads of its own. Does nothing the second time; where the file can't be read,
   * onnxruntime-web tries itself, and says what is wrong.
   */
  prepare(): void {
    if (this.#begun) return;
    this.#begun = true;
    try {
      this.#compiling = compileOnnxRuntime();
      this.#compiling.catch(() => {});
    } catch {
      this.#compiling = null;
    }
  }

  /** Runs `body`, during which onnxruntime-web, with these settings, instantiates its module, so that it takes the one that was prepared, if it could be. */
  async use<T>(settings: { wasmBinary?: ArrayBufferLike | Uint8Array }, body: () => Promise<T>): Promise<T> {
    this.prepare();
    const compiling = this.#compiling;
    if (!compiling) return await body();
    // onnxruntime-web takes bytes alone. It is given some that stand for the module, and hands them to `instantiate`.
    const token = new ArrayBuffer(8);
    const { instantiate } = WebAssembly;
    settings.wasmBinary = token;
    WebAssembly.instantiate = new Proxy(instantiate, {
      apply: async (target, self, [source, imports]: [Uint8Array | WebAssembly.Module, WebAssembly.Imports]) => {
        if (!(source instanceof Uint8Array) || source.buffer !== token) return Reflect.apply(target, self, [source, imports]);
        const module = await compiling;
        const instance = await instantiate(module, imports);
        const memory = Object.values(imports).flatMap(Object.values<unknown>).find((value) => value instanceof WebAssembly.Memory);
        if (memory) this.#instance = { exports: instance.exports, memory };
        return { module, instance };
      },
    });
    try {
      return await body();
    } finally {
      WebAssembly.instantiate = instantiate;
      delete settings.wasmBinary;
      this.#compiling = null;
    }
  }
}

/** The module of this process. */
export const onnxruntimeModule: AheadOfTimeModule = new AheadOfTimeModule();

/** How graphs are loaded by onnxruntime-node's library, by whichever of its interfaces. */

/** What holds for one graph. */
export interface GraphOptions {
  readonly threads: number;
  /** The session's settings (onnxruntime_session_options_config_keys.h). */
  readonly config: Readonly<Record<string, string>>;
  /** The bytes of initializers that lie outside the model, by their location in it. */
  readonly external: ReadonlyMap<string, Uint8Array>;
}

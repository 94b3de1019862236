/** The callback that writes the logs of each epoch to a CSV file. */

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { attempt } from "../../formats/atomic.ts";
import { floatRepr } from "../python_format.ts";
import { Callback, type Logs } from "./callback.ts";
import { checkOptions } from "./monitor_callback.ts";

/** What {@linkcode CSVLogger} takes. */
export interface CSVLoggerOptions {
  /** The file. */
  readonly filename: string;
  /** What stands between two fields. Default: ",". */
  readonly separator?: string;
  /** Whether to go on with a file that exists. Default: false, which starts it anew. */
  readonly append?: boolean;
}

/**
 * Writes a row an epoch, in the bytes that Keras' `CSVLogger` writes (Python's `excel` dialect: lines end with CR LF).
 *
 * Where the first epoch has no validation, a column of "NA" is kept for the `val_` value of each log.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const logger = new callbacks.CSVLogger({ filename: "training.csv" });
 * console.log(logger.filename);
 * ```
 */
export class CSVLogger extends Callback {
  readonly filename: string;
  readonly separator: string;
  readonly append: boolean;
  #keys: readonly string[] | null = null;
  #header = true;

  /** Takes the file's name alone too. */
  constructor(options: CSVLoggerOptions | string) {
    super();
    const named: CSVLoggerOptions = typeof options === "string" ? { filename: options } : options;
    checkOptions("CSVLogger", named, ["filename", "separator", "append"]);
    this.filename = named.filename;
    this.separator = named.separator ?? ",";
    this.append = named.append ?? false;
  }

  /** Starts the file, or finds what it holds. Throws "format/write" where there is no folder for it. */
  override onTrainBegin(): void {
    this.#keys = null;
    if (!this.append) attempt(this.filename, () => writeFileSync(this.filename, ""));
    else if (existsSync(this.filename)) this.#header = readFileSync(this.filename).length === 0;
  }

  /** Writes a row. */
  override onEpochEnd(epoch: number, logs: Logs): void {
    let text = "";
    if (!this.#keys) {
      const keys = Object.keys(logs).sort();
      this.#keys = keys.some((key) => key.startsWith("val_")) ? keys : [...keys, ...keys.map((key) => `val_${key}`)];
      if (this.#header) text += this.#row(["epoch", ...this.#keys]);
    }
    text += this.#row([String(epoch), ...this.#keys.map((key) => Object.hasOwn(logs, key) ? floatRepr(logs[key]) : "NA")]);
    attempt(this.filename, () => appendFileSync(this.filename, text));
  }

  #row(fields: readonly string[]): string {
    return fields.map((field) => this.#quoted(field)).join(this.separator) + "\r\n";
  }

  #quoted(field: string): string {
    return field.includes(this.separator) || /["\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
  }
}

/** A download's progress as one line: `model.safetensors:  45%|████      | 500MB/1.1GB`. */

import type { HubConsole } from "./settings.ts";

const WIDTH = 10;
const MIN_MILLISECONDS = 100;
/** Smaller files are there before a bar would be seen. */
const MIN_BYTES = 1_000_000;

/** A bar for one file. On a console that can't overwrite, only the finished line is printed. */
export class ProgressBar {
  readonly #console: HubConsole;
  readonly #label: string;
  #last = -Infinity;
  #length = 0;

  /** A bar that shows nothing yet. */
  constructor(console: HubConsole, label: string) {
    this.#console = console;
    this.#label = label;
  }

  /** Shows that `done` of `total` bytes are there. */
  update(done: number, total: number | undefined): void {
    if ((total ?? done) < MIN_BYTES || !this.#console.dynamic) return;
    const now = performance.now();
    if (now - this.#last < MIN_MILLISECONDS) return;
    this.#last = now;
    const line = progressLine(this.#label, done, total);
    this.#console.write(`\r${line.padEnd(this.#length)}`);
    this.#length = line.length;
  }

  /** Ends the line; of a file that is whole with the whole bar. */
  end(done: number, whole: boolean): void {
    if (!whole) {
      if (this.#length > 0) this.#console.write("\n");
    } else if (done >= MIN_BYTES) {
      const line = progressLine(this.#label, done, done).padEnd(this.#length);
      this.#console.write(this.#console.dynamic ? `\r${line}\n` : `${line}\n`);
    }
    this.#length = 0;
  }
}

/** The line for `done` of `total` bytes; without a total only how much is there. */
export function progressLine(label: string, done: number, total: number | undefined): string {
  if (total === undefined) return `${label}: ${bytes(done)}`;
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const bar = "█".repeat(Math.floor(share * WIDTH)).padEnd(WIDTH);
  return `${label}: ${String(Math.floor(share * 100)).padStart(3)}%|${bar}| ${bytes(done)}/${bytes(total)}`;
}

/** A number of bytes with three digits at most: 999B, 1.1GB. */
function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return value.toFixed(digits) + units[unit];
}

/** Where training prints to and what it takes the time from; tests put their own in. */

import process from "node:process";

/** A place to print to and a clock. */
export interface Console {
  /** Prints text as it is, without a line break. */
  write(text: string): void;
  /** Prints a warning, one line. */
  warn(text: string): void;
  /** Seconds since any fixed moment. */
  clock(): number;
  /** Whether a line can be overwritten (`\b`, `\r`). */
  readonly dynamic: boolean;
}

/** The process's own: standard output, warnings on standard error. As Keras does, every display but a file on Windows is taken for dynamic. */
export const processConsole: Console = {
  write: (text) => void process.stdout.write(text),
  warn: (text) => void process.stderr.write(`${text}\n`),
  clock: () => (performance.timeOrigin + performance.now()) / 1000,
  get dynamic(): boolean {
    return process.platform !== "win32" || process.stdout.isTTY === true;
  },
};

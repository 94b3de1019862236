/** What the hubs' clients take from outside: the environment, a place to report to, a clock. */

import * as os from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Where progress and warnings go. */
export interface HubConsole {
  /** Prints text as it is. */
  write(text: string): void;
  /** Whether a line can be overwritten. */
  readonly dynamic: boolean;
}

/** What can be put in another's place. */
export interface HubSettings {
  readonly console: HubConsole;
  /** Waits between tries. */
  sleep(milliseconds: number): Promise<void>;
}

/** The process's own: standard error, real time. */
export const processSettings: HubSettings = {
  console: {
    write: (text) => void process.stderr.write(text),
    get dynamic(): boolean {
      return process.stderr.isTTY === true;
    },
  },
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/** An environment variable; undefined where it is empty. */
export function variable(name: string): string | undefined {
  return process.env[name] || undefined;
}

/** Whether an environment variable says yes, as Python's clients read it. */
export function isSet(name: string): boolean {
  return /^(1|on|yes|true)$/i.test(variable(name) ?? "");
}

/** A number of seconds from an environment variable. */
export function seconds(name: string, otherwise: number): number {
  const value = Number(variable(name));
  return value > 0 ? value : otherwise;
}

/** A path below the user's home. */
export function inHome(...parts: string[]): string {
  return join(variable("HOME") ?? variable("USERPROFILE") ?? os.homedir(), ...parts);
}

/** A path that may start with `~`. */
export function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? inHome(path.slice(1)) : path;
}

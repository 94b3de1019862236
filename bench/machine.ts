/** What machine this is, and which commit. */

import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";
import type { Machine } from "./results.ts";

/** The machine as results name it. */
export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release().split(/[-+]/)[0]}`,
    deno: process.versions.deno ?? "none",
    loadBefore: loadavg()[0],
  };
}

/** The commit that is checked out, short, with a plus where the files differ from it. */
export function describeCommit(directory: string): string {
  const git = (...args: string[]): string => {
    try {
      return execFileSync("git", args, { cwd: directory, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    } catch {
      return "";
    }
  };
  const commit = git("rev-parse", "--short", "HEAD") || "unknown";
  return git("status", "--porcelain") === "" ? commit : `${commit}+`;
}

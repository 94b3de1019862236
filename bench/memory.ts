/** The processes under a contestant, and the most memory they ever had, as Linux counts it. */

import { existsSync, readdirSync, readFileSync } from "node:fs";

/** A process with all that it started, itself first; only itself where there is no `/proc`. */
export function processTree(pid: number): number[] {
  if (!existsSync("/proc/self/stat")) return [pid];
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = read(`/proc/${entry}/stat`);
    // The command's name is in parentheses and may hold spaces; the parent is the second field after it.
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    children.set(parent, [...children.get(parent) ?? [], Number(entry)]);
  }
  const tree = [pid];
  for (const one of tree) tree.push(...children.get(one) ?? []);
  return tree;
}

/**
 * The most bytes that a process and its descendants ever had resident, each one's peak added up: pages that they share count for each. Null
 * where the system doesn't say.
 */
export function peakBytes(pid: number): number | null {
  const peaks = processTree(pid).map((one) => /^VmHWM:\s*(\d+) kB/m.exec(read(`/proc/${one}/status`))?.[1]);
  const known = peaks.filter((peak) => peak !== undefined);
  return known.length === 0 ? null : known.reduce((sum, peak) => sum + Number(peak) * 1024, 0);
}

/** Bytes that new processes can have without swapping; infinite where the system doesn't say. */
export function availableBytes(): number {
  const found = /^MemAvailable:\s*(\d+) kB/m.exec(read("/proc/meminfo"))?.[1];
  return found === undefined ? Infinity : Number(found) * 1024;
}

/** A file's text; nothing where it is gone, as a process may be. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

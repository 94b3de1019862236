/** Results as a table for the terminal. */

import type { PointResult, ScenarioResult } from "./results.ts";

/** Three significant digits, or what fits. */
export function formatSeconds(seconds: number): string {
  if (seconds >= 0.9995) return `${seconds.toPrecision(3)} s`;
  if (seconds >= 0.0009995) return `${(seconds * 1000).toPrecision(3)} ms`;
  return `${(seconds * 1e6).toPrecision(3)} µs`;
}

/** Decimal gigabytes or megabytes. */
export function formatBytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}

/** The rows of a point, the header first; a column for each of ours says how many times as long the row's contestant took. */
export function rowsOf({ measurements, comparisons }: PointResult): string[][] {
  const ours = [...new Set(comparisons.map((one) => one.ours))];
  const header = ["", "median", "from", "to", "peak memory", ...ours.map((name) => `against ${name}`)];
  const rows = measurements.map(({ contestant, seconds, peakBytes }) => [
    contestant,
    formatSeconds(seconds.median),
    formatSeconds(seconds.min),
    formatSeconds(seconds.max),
    peakBytes === null ? "?" : formatBytes(peakBytes),
    ...ours.map((name) => {
      const found = comparisons.find((one) => one.ours === name && one.peer === contestant);
      if (!found) return "";
      const { median, min, max } = found.ratio;
      return `${median.toFixed(2)}× (${min.toFixed(2)}–${max.toFixed(2)})`;
    }),
  ]);
  return [header, ...rows];
}

/** A scenario's tables. */
export function formatScenario({ title, points }: ScenarioResult): string {
  const lines = [title];
  for (const point of points) {
    lines.push("", ...point.label ? [point.label] : [], ...aligned(rowsOf(point)));
    for (const { contestant, reason } of point.missing) lines.push(`${contestant}: ${reason}`);
    for (const disagreement of point.disagreements ?? []) lines.push(`NOT THE SAME: ${disagreement}`);
  }
  return lines.join("\n");
}

/** Rows as lines, the columns under each other, the first to the left and the others to the right. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])).join("  ").trimEnd()
  );
}

/** Results as tables: of one point, and of how a scenario grows. */

import type { PointResult, ScenarioResult } from "./results.ts";

/** Rows of cells, the header first. */
export type Table = readonly (readonly string[])[];

/** Three significant digits, in the unit that fits. */
export function formatSeconds(seconds: number): string {
  if (seconds >= 0.9995) return `${seconds.toPrecision(3)} s`;
  if (seconds >= 0.0009995) return `${(seconds * 1000).toPrecision(3)} ms`;
  return `${(seconds * 1e6).toPrecision(3)} µs`;
}

/** Decimal gigabytes or megabytes. */
export function formatBytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}

/** The contestants of a point with their times; a column for each of ours says how many times as long the row's contestant took. */
export function pointTable({ measurements, comparisons }: PointResult): Table {
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

/** A row for each point, and for each contestant its median time and its peak memory. */
export function growthTable({ points }: Pick<ScenarioResult, "points">): Table {
  const names = [...new Set(points.flatMap(({ measurements }) => measurements.map(({ contestant }) => contestant)))];
  const rows = points.map(({ label, measurements }) => [
    label,
    ...names.map((name) => {
      const found = measurements.find(({ contestant }) => contestant === name);
      if (!found) return "";
      return `${formatSeconds(found.seconds.median)}${found.peakBytes === null ? "" : `, ${formatBytes(found.peakBytes)}`}`;
    }),
  ]);
  return [["", ...names], ...rows];
}

/** What a scenario's tables don't show: who is missing and why, who computed something else, and what contestants say of themselves. */
export function remarksOf({ points }: Pick<ScenarioResult, "points">): string[] {
  const missing = points.flatMap((point) => point.missing.map(({ contestant, reason }) => `${contestant} is missing: ${reason}`));
  const notes = points.flatMap(({ measurements }) =>
    measurements.flatMap(({ contestant, facts }) => typeof facts.note === "string" ? [`${contestant}: ${facts.note}`] : [])
  );
  const different = points.flatMap(({ disagreements }) => (disagreements ?? []).map((one) => `NOT THE SAME: ${one}`));
  return [...new Set([...different, ...missing, ...notes])];
}

/** A scenario for the terminal. */
export function formatScenario(result: ScenarioResult): string {
  const { title, points } = result;
  const tables = points.length === 1 ? pointTable(points[0]) : growthTable(result);
  return [title, "", ...aligned(tables), ...remarksOf(result)].join("\n");
}

/** Rows as lines, the columns under each other, the first to the left and the others to the right. */
export function aligned(rows: Table): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])).join("  ").trimEnd()
  );
}

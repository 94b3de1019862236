/** Curves as text: a plot for a few series, a line of bars for one. */

/** A series of a plot. */
export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

const BARS = "▁▂▃▄▅▆▇█";

/** The values as bars between `low` and `high`, by default their own least and greatest: `█▆▃▁`. */
export function sparkline(values: readonly number[], low: number = Math.min(...values), high: number = Math.max(...values)): string {
  const top = BARS.length - 1;
  return values.map((value) => BARS[Math.max(0, Math.min(top, Math.round((value - low) / (high - low || 1) * top)))]).join("");
}

const MARKS = "●○▲△■□";

/** A plot over epochs 1, 2, …: one mark a series, its legend below. */
export function textPlot(series: readonly Series[], { height = 10, spacing = 4 }: { height?: number; spacing?: number } = {}): string {
  const all = series.flatMap(({ values }) => values);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const epochs = Math.max(...series.map(({ values }) => values.length));
  const rows = Array.from({ length: height }, () => new Array<string>(epochs * spacing).fill(" "));
  series.forEach(({ values }, s) =>
    values.forEach((value, epoch) => {
      const row = Math.round((high - value) / (high - low || 1) * (height - 1));
      rows[row][epoch * spacing + spacing - 1] = MARKS[s % MARKS.length];
    })
  );
  const ticks = rows.map((_, row) => (high - (high - low) * row / (height - 1)).toFixed(2));
  const width = Math.max(...ticks.map((tick) => tick.length));
  const lines = rows.map((row, i) => `${ticks[i].padStart(width)} ┤${row.join("").trimEnd()}`);
  const axis = `${" ".repeat(width)} └${"─".repeat(epochs * spacing)}`;
  const labels = `${" ".repeat(width + 2)}${Array.from({ length: epochs }, (_, i) => String(i + 1).padStart(spacing)).join("")}  epoch`;
  const legend = `${" ".repeat(width + 2)}${series.map(({ name }, s) => `   ${MARKS[s % MARKS.length]} ${name}`).join("")}`;
  return [...lines, axis, labels, legend].join("\n");
}

/** Tables in plain text, columns aligned. */

/** One column: its heading and the side that its cells stick to. */
export interface Column {
  readonly heading: string;
  readonly align: "left" | "right";
}

/** The lines of a table: the headings, a rule, the rows. An empty row is a rule too. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ heading }, i) => Math.max(heading.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    columns.map(({ align }, i) => align === "left" ? (cells[i] ?? "").padEnd(widths[i]) : (cells[i] ?? "").padStart(widths[i])).join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(columns.map(({ heading }) => heading)), rule, ...rows.map((row) => row.length === 0 ? rule : line(row))];
}

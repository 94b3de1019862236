/** Tables of text, laid out as the Python library rich lays out a table of fixed column widths. */

/** One column. */
export interface TableColumn {
  readonly header: string;
  readonly align: "left" | "right" | "center";
  /** Characters, before the columns are made narrower to fit the table. */
  readonly width: number;
}

/** Draws a table with a heavy head and lines between the rows; `width` includes the borders. No line break at the end. */
export function drawTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[], width: number): string {
  const widths = fit(columns.map((column) => column.width + 2), width - columns.length - 1);
  const line = (left: string, fill: string, between: string, right: string): string =>
    left + widths.map((size) => fill.repeat(size)).join(between) + right;
  const row = (cells: readonly string[], bar: string, head = false): string[] => {
    const wrapped = cells.map((cell, i) => layOut(cell, widths[i] - 2, columns[i].align));
    const height = Math.max(...wrapped.map(({ length }) => length));
    return Array.from({ length: height }, (_, y) => {
      // The head stands on its bottom, the rows hang from their top.
      const parts = wrapped.map((lines, i) => ` ${lines[head ? y - height + lines.length : y] ?? " ".repeat(Math.max(0, widths[i] - 2))} `);
      return bar + parts.join(bar) + bar;
    });
  };
  const body = rows.map((cells) => row(cells, "│").join("\n")).join(`\n${line("├", "─", "┼", "┤")}\n`);
  return [
    line("┏", "━", "┳", "┓"),
    ...row(columns.map(({ header }) => header), "┃", true),
    line("┡", "━", "╇", "┩"),
    ...(rows.length > 0 ? [body] : []),
    line("└", "─", "┴", "┘"),
  ].join("\n");
}

/** Takes what is too much from the columns in equal parts. */
function fit(widths: readonly number[], room: number): number[] {
  let excess = Math.max(0, widths.reduce((a, b) => a + b, 0) - room);
  return widths.map((width, i) => {
    const part = Math.min(width, roundHalfEven(excess / (widths.length - i)));
    excess -= part;
    return width - part;
  });
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + floor % 2 : Math.round(value);
}

/** Breaks a cell into lines between words; a word that is wider than the column is cut off with an ellipsis. */
function layOut(text: string, width: number, align: TableColumn["align"]): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.match(/\s*\S+\s*/g) ?? [""]) {
    const bare = word.trimEnd().length;
    const fits = width - line.length >= bare;
    if (!fits && line !== "") {
      lines.push(line);
      line = word;
    } else line += word;
  }
  lines.push(line);
  return lines.map((line) => {
    const bare = line.trimEnd();
    const cut = bare.length > width ? `${bare.slice(0, Math.max(0, width - 1))}…` : bare;
    const left = align === "left" ? 0 : align === "right" ? width - cut.length : Math.floor((width - cut.length) / 2);
    return " ".repeat(left) + cut + " ".repeat(width - cut.length - left);
  });
}

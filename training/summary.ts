/** Keras' `summary()`: the layers of a model as a table, with shapes, parameters and connections. */

import { OnnxHubError } from "../errors.ts";
import { fixed, thousands } from "./python_format.ts";
import { drawTable, type TableColumn } from "./table.ts";

/** One layer. */
export interface SummaryRow {
  readonly name: string;
  /** The class name. */
  readonly type: string;
  /** The shape of each output, null for a size that isn't fixed; none: "?". */
  readonly outputShapes: readonly (readonly (number | null)[])[];
  /** Parameters, those that it shares with other layers included. */
  readonly params: number;
  /** Where its inputs come from: the layer, which of its calls, which of its outputs. */
  readonly connectedTo?: readonly (readonly [layer: string, call: number, output: number])[];
  /** Whether it is trained; null where it has no weights. */
  readonly trainable?: boolean | null;
}

/** Some weights: how many numbers, and the bytes they take (by default 4 each). */
export interface WeightCount {
  readonly params: number;
  readonly bytes?: number;
}

/** What a summary is made of. */
export interface ModelSummary {
  readonly name: string;
  readonly rows: readonly SummaryRow[];
  readonly trainable: WeightCount;
  readonly nonTrainable: WeightCount;
  /** The optimizer's slots and counters, once there are any. */
  readonly optimizer?: WeightCount | null;
  /** A preprocessor has a table of its own, first. */
  readonly preprocessor?: PreprocessorSummary | null;
}

/** The table of a preprocessor. */
export interface PreprocessorSummary {
  readonly name: string;
  readonly layers: readonly { readonly name: string; readonly type: string; readonly vocabularySize: number }[];
}

/** What `summary` takes. */
export interface SummaryOptions {
  /** Characters of a line. Default: 108, or 88 for a model whose rows say nothing of connections; 12 more with `showTrainable`. */
  readonly lineLength?: number;
  /** Where each column ends, as a part of the line, from 0 to 1. Default: Keras'. */
  readonly positions?: readonly number[];
  /** Whether to say of each layer if it is trained. Default: false. */
  readonly showTrainable?: boolean;
}

/**
 * The summary as Keras prints it where nothing has colours: the text of the tables, without a line break at the end.
 *
 * Throws "training/option" where a line is too short for its columns.
 */
export function summary(model: ModelSummary, options: SummaryOptions = {}): string {
  const connected = model.rows.some(({ connectedTo }) => connectedTo !== undefined);
  const { showTrainable = false } = options;
  const standard = (connected ? 108 : 88) + (showTrainable ? 12 : 0);
  const lineLength = options.lineLength ?? standard;
  const headers: [string, TableColumn["align"]][] = [["Layer (type)", "left"], ["Output Shape", "left"], ["Param #", "right"]];
  if (connected) headers.push(["Connected to", "left"]);
  let positions = options.positions ?? (connected ? [0.3, 0.56, 0.74, 1] : [0.45, 0.8, 1]);
  if (showTrainable) {
    headers.push(["Trainable", "center"]);
    positions = [...positions.map((position) => position * 0.9), 1];
  }
  const rows = model.rows.map((row) => cells(row, connected, showTrainable));
  const { trainable, nonTrainable, optimizer } = model;
  const total = [trainable, nonTrainable, optimizer].filter((count) => count !== undefined && count !== null);
  const sum: WeightCount = {
    params: total.reduce((sum, { params }) => sum + params, 0),
    bytes: total.reduce((sum, count) => sum + bytes(count), 0),
  };
  return [
    ...(model.preprocessor ? [preprocessorTable(model.preprocessor, options.lineLength ?? 108)] : []),
    `Model: "${model.name}"`,
    drawTable(columns(headers, positions, lineLength), rows, lineLength),
    counted("Total", sum),
    counted("Trainable", trainable),
    counted("Non-trainable", nonTrainable),
    ...(optimizer ? [counted("Optimizer", optimizer)] : []),
  ].join("\n");
}

function columns(
  headers: readonly (readonly [string, TableColumn["align"]])[],
  positions: readonly number[],
  lineLength: number,
): TableColumn[] {
  if (positions.length !== headers.length) {
    throw new OnnxHubError("training/option", "There is one position a column", {
      path: "summary.positions",
      expected: `${headers.length} numbers, for ${headers.map(([header]) => header).join(", ")}`,
      found: String(positions.length),
    });
  }
  let end = 0;
  return headers.map(([header, align], i) => {
    const width = Math.trunc(positions[i] * lineLength) - end;
    if (!(width >= 4)) {
      throw new OnnxHubError("training/option", "Insufficient width to print the summary", {
        path: "summary.lineLength",
        expected: "4 characters or more for each column",
        found: `${width} for ${header}`,
      });
    }
    end += width;
    return { header, align, width };
  });
}

function cells(row: SummaryRow, connected: boolean, showTrainable: boolean): string[] {
  const shapes = row.outputShapes.map((shape) => `(${shape.map((size) => size ?? "None").join(", ")})`);
  const cells = [`${row.name} (${row.type})`, shapes.length > 1 ? `[${shapes.join(", ")}]` : shapes[0] ?? "?", thousands(row.params)];
  if (connected) cells.push((row.connectedTo ?? []).map(([layer, call, output]) => `${layer}[${call}][${output}]`).join(", ") || "-");
  if (showTrainable) cells.push(row.trainable === null || row.trainable === undefined ? "-" : row.trainable ? "Y" : "N");
  return cells;
}

function preprocessorTable({ name, layers }: PreprocessorSummary, lineLength: number): string {
  const columns: TableColumn[] = [
    { header: "Layer (type)", align: "left", width: Math.trunc(0.6 * lineLength) },
    { header: "Config", align: "right", width: Math.trunc(0.4 * lineLength) },
  ];
  const rows = layers.map((layer) => [`${layer.name} (${layer.type})`, `Vocab size: ${thousands(layer.vocabularySize)}`]);
  return `Preprocessor: "${name}"\n${drawTable(columns, rows, lineLength)}`;
}

function counted(what: string, count: WeightCount): string {
  return ` ${what} params: ${thousands(count.params)} (${readable(bytes(count))})`;
}

function bytes({ params, bytes }: WeightCount): number {
  return bytes ?? 4 * params;
}

/** Bytes in the greatest unit that leaves a number of 1 or more: `174.62 KB`. */
export function readable(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  let size = bytes;
  while (size / 1024 >= 1 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${fixed(size, 2)} ${units[unit]}`;
}

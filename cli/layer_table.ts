/** The table of a model's layers, where a run of equal blocks is shown once. */

import type { ExplainedLayer } from "../codegen/explain.ts";
import { type Column, table } from "./table.ts";
import { count, quantity } from "./units.ts";

/** Layers by the parts of their paths. */
interface Tree {
  readonly name: string;
  readonly layer: ExplainedLayer | null;
  readonly children: Tree[];
}

/** A line: a layer, in how many blocks it is the same. */
interface Row {
  readonly path: string;
  readonly layer: ExplainedLayer;
  readonly times: number;
}

const COLUMNS: readonly Column[] = [
  { heading: "Layer", align: "left" },
  { heading: "×", align: "right" },
  { heading: "Type", align: "left" },
  { heading: "Output", align: "left" },
  { heading: "Parameters", align: "right" },
  { heading: "FLOPs", align: "right" },
];

/** The lines; `full` shows every block. Numbers are of one block; the column × says how many there are. */
export function layerTable(layers: readonly ExplainedLayer[], full: boolean): string[] {
  const rows = full ? layers.map((layer) => ({ path: layer.path, layer, times: 1 })) : rowsOf(treeOf(layers), "", 1);
  return table(
    COLUMNS,
    rows.map(({ path, layer, times }) => [
      path,
      times > 1 ? String(times) : "",
      layer.type,
      layer.outputShape,
      layer.parameters > 0 ? count(layer.parameters) : "",
      layer.flops > 0 ? quantity(layer.flops) : "",
    ]),
  );
}

function treeOf(layers: readonly ExplainedLayer[]): Tree[] {
  const root: Tree[] = [];
  for (const layer of layers) {
    const parts = layer.path.split("/");
    let level = root;
    parts.slice(0, -1).forEach((name) => {
      let node = level.at(-1);
      if (node?.name !== name || node.layer) level.push(node = { name, layer: null, children: [] });
      level = node.children;
    });
    level.push({ name: parts.at(-1)!, layer, children: [] });
  }
  return root;
}

function rowsOf(trees: readonly Tree[], path: string, times: number): Row[] {
  const rows: Row[] = [];
  for (let at = 0; at < trees.length;) {
    const first = trees[at];
    let end = at + 1;
    while (end < trees.length && areAlike(first, trees[end])) end++;
    const last = trees[end - 1];
    const here = path + (end - at > 1 ? rangeName(first.name, last.name) : first.name);
    const inside = times * (end - at);
    if (first.layer) rows.push({ path: here, layer: first.layer, times: inside });
    else rows.push(...rowsOf(first.children, `${here}/`, inside));
    at = end;
  }
  return rows;
}

const unnumbered = (name: string): string => name.replace(/\d+/g, "#");

/** Whether two trees differ in nothing but the numbers in their names. */
function areAlike(a: Tree, b: Tree): boolean {
  return unnumbered(a.name) === unnumbered(b.name) && contentOf(a) === contentOf(b);
}

function contentOf({ layer, children }: Tree): string {
  if (!layer) return `(${children.map((child) => `${unnumbered(child.name)}${contentOf(child)}`).join()})`;
  return `${layer.type}${layer.outputShape}:${layer.parameters}:${layer.flops}`;
}

/** `block_0` and `block_11` → `block_{0…11}`. */
function rangeName(first: string, last: string): string {
  const numbers = last.match(/\d+/g) ?? [];
  let at = 0;
  return first.replace(/\d+/g, (number) => {
    const other = numbers[at++];
    return other === number ? number : `{${number}…${other}}`;
  });
}

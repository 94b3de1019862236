/** The files of a preset, taken apart so that two presets can be compared. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openHdf5 } from "../../formats/hdf5.ts";

/** The paths of all files under a directory, sorted. */
export function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1).replaceAll("\\", "/"))
    .sort();
}

/** Every file's bytes by its path. */
export function bytesOf(directory: string): Record<string, string> {
  return Object.fromEntries(filesOf(directory).map((path) => [path, readFileSync(join(directory, path)).toString("base64")]));
}

/** Names that Keras numbers through a whole process, so that they tell how many layers it had made before. */
const NUMBERED = /^(dropout|softmax|adam)_\d+$/;

/** Every group and dataset of an HDF5 file by its path: attributes, shape, type, bytes. Keras' running numbers are left out. */
export function hdf5Tree(path: string): Record<string, string> {
  const file = openHdf5(path);
  const found: Record<string, string> = {};
  const attributes = (place: string): string =>
    JSON.stringify(
      Object.entries(file.attributes(place)).sort().map(([name, value]) => [name, name === "name" ? value.replace(NUMBERED, "$1") : value]),
    );
  const visit = (group: string): void => {
    found[group] = `group ${attributes(group)}`;
    for (const key of file.keys(group)) {
      const place = group === "" ? key : `${group}/${key}`;
      if (file.kind(place) === "group") {
        visit(place);
        continue;
      }
      const { shape, dtype, size } = file.dataset(place);
      found[place] = `${dtype} [${shape}] ${attributes(place)} ${elements(file.dataset(place), size)}`;
    }
  };
  visit("");
  file.close();
  return found;
}

function elements(dataset: ReturnType<ReturnType<typeof openHdf5>["dataset"]>, size: number): string {
  const data = new Float64Array(size);
  dataset.read(data);
  return Array.from(data).join(" ");
}

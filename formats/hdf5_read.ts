/** Reading HDF5 files in the layout that Keras and h5py write: groups, string attributes, contiguous datasets. */

import { nearest } from "../errors.ts";
import { ELEMENT_SIZE, elementCount, type ElementType, readElements, type ReadTarget } from "./elements.ts";
import { openFile } from "./file.ts";
import { type Block, type Link, MESSAGE, type Message, Structure, UNDEFINED_ADDRESS } from "./hdf5_structure.ts";

/** A dataset: what it holds, and its reading in parts. */
export interface Hdf5Dataset {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  /** The product of the shape. */
  readonly size: number;
  /** Reads `count` elements from element `start` on into the beginning of `into`; all of them unless told otherwise. */
  read(into: ReadTarget, start?: number, count?: number): void;
}

/** An open HDF5 file. Paths are "a/b/c" from the root, whose own path is "". */
export interface Hdf5Reader {
  readonly path: string;
  has(path: string): boolean;
  /** What is at a path, if anything. */
  kind(path: string): "group" | "dataset" | undefined;
  /** The names in a group, sorted by their bytes. */
  keys(group: string): string[];
  /** The attributes that hold one string. */
  attributes(path: string): Record<string, string>;
  dataset(path: string): Hdf5Dataset;
  /** The paths of all datasets under a group, in order. */
  datasets(group?: string): string[];
  close(): void;
}

const DEPTH_LIMIT = 64;
const OBJECT_LIMIT = 1_000_000;

/**
 * Opens an HDF5 file (superblock 0 or 1, groups with symbol tables, uncompressed contiguous data: what h5py writes by
 * default) for reading. Every size and address is checked against the file's length before it is used.
 *
 * Throws "format/missing-file", "format/hdf5-signature", "format/hdf5-truncated", "format/hdf5-damaged" or
 * "format/hdf5-unsupported"; a name that is not there is "format/hdf5-missing".
 */
export function openHdf5(path: string): Hdf5Reader {
  const file = openFile(path);
  try {
    const structure = new Structure(file);
    return new Reader(path, file, structure);
  } catch (error) {
    file.close();
    throw error;
  }
}

class Reader implements Hdf5Reader {
  readonly path: string;
  readonly #file: ReturnType<typeof openFile>;
  readonly #structure: Structure;
  readonly #groups = new Map<number, Map<string, Link> | undefined>();

  constructor(path: string, file: ReturnType<typeof openFile>, structure: Structure) {
    this.path = path;
    this.#file = file;
    this.#structure = structure;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  kind(path: string): "group" | "dataset" | undefined {
    const address = this.#find(path);
    if (address === undefined) return undefined;
    return this.#links(address, path) ? "group" : "dataset";
  }

  keys(group: string): string[] {
    const links = this.#links(this.#address(group), group);
    if (!links) throw this.#structure.error("missing", "Not a group", group, "a group", "a dataset");
    return [...links.keys()];
  }

  attributes(path: string): Record<string, string> {
    const found: Record<string, string> = Object.create(null);
    for (const message of this.#structure.messages(this.#address(path), path)) {
      if (message.type !== MESSAGE.attribute) continue;
      const attribute = readAttribute(message, path, this.#structure);
      if (attribute) found[attribute[0]] = attribute[1];
    }
    return found;
  }

  dataset(path: string): Hdf5Dataset {
    const file = this.#file;
    const structure = this.#structure;
    if (this.kind(path) === "group") throw structure.error("missing", "Not a dataset", path, "a dataset", "a group");
    const messages = structure.messages(this.#address(path), path);
    const info = describe(messages, path, structure, () => this.attributes(path).dtype);
    const itemSize = ELEMENT_SIZE[info.dtype];
    if (info.position + info.size * itemSize > file.size) {
      throw structure.error(
        "truncated",
        "A dataset is larger than the file",
        path,
        `${info.position + info.size * itemSize} bytes for shape [${info.shape.join(", ")}] of ${info.dtype}`,
        `${file.size} bytes`,
      );
    }
    return {
      shape: info.shape,
      dtype: info.dtype,
      size: info.size,
      read(into: ReadTarget, start = 0, count = info.size - start): void {
        if (!(Number.isSafeInteger(start) && Number.isSafeInteger(count) && start >= 0 && count >= 0 && start + count <= info.size)) {
          throw structure.error(
            "range",
            "A read outside the dataset",
            path,
            `within ${info.size} elements`,
            `${start} to ${start + count}`,
          );
        }
        readElements(file, info.dtype, info.position + start * itemSize, into, count, path);
      },
    };
  }

  datasets(group = ""): string[] {
    const found: string[] = [];
    const above = new Set<number>();
    let objects = 0;
    const visit = (address: number, path: string): void => {
      if (++objects > OBJECT_LIMIT) throw this.#structure.error("damaged", "Too many objects", path, `at most ${OBJECT_LIMIT}`);
      if (above.has(address) || above.size > DEPTH_LIMIT) {
        throw this.#structure.error("damaged", above.has(address) ? "A group that contains itself" : "Groups are nested too deep", path);
      }
      const links = this.#links(address, path);
      if (!links) {
        found.push(path);
        return;
      }
      above.add(address);
      for (const [name, link] of links) {
        if (!link.soft) visit(link.address, path === "" ? name : `${path}/${name}`);
      }
      above.delete(address);
    };
    visit(this.#address(group), normalize(group));
    return found;
  }

  close(): void {
    this.#file.close();
  }

  #links(address: number, path: string): Map<string, Link> | undefined {
    if (!this.#groups.has(address)) this.#groups.set(address, this.#structure.links(address, path || "/"));
    return this.#groups.get(address);
  }

  #find(path: string): number | undefined {
    let address = this.#structure.root;
    const parts = normalize(path).split("/").filter((part) => part !== "");
    if (parts.length > DEPTH_LIMIT) return undefined;
    for (const [i, part] of parts.entries()) {
      const link = this.#links(address, parts.slice(0, i).join("/"))?.get(part);
      if (!link) return undefined;
      if (link.soft) throw this.#structure.error("unsupported", "A soft link", parts.slice(0, i + 1).join("/"), "a group or a dataset");
      address = link.address;
    }
    return address;
  }

  #address(path: string): number {
    const address = this.#find(path);
    if (address !== undefined) return address;
    const parts = normalize(path).split("/");
    let group = "";
    while (parts.length > 1 && this.kind([group, parts[0]].filter(Boolean).join("/")) === "group") {
      group = [group, parts.shift()!].filter(Boolean).join("/");
    }
    const near = nearest(parts[0], this.#links(this.#address(group), group)?.keys() ?? []);
    throw this.#structure.error("missing", "Nothing of this name in the file", path, near ? `perhaps ${near}` : undefined);
  }
}

function normalize(path: string): string {
  return path.replace(/^\/+|\/+$/g, "");
}

/** Where a dataset's elements are, and what. */
interface DatasetInfo {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  readonly size: number;
  /** In bytes from the file's beginning. */
  readonly position: number;
}

function describe(messages: readonly Message[], path: string, structure: Structure, declared: () => string | undefined): DatasetInfo {
  const find = (type: number, what: string): Block => {
    const message = messages.find((candidate) => candidate.type === type);
    if (!message) throw structure.error("damaged", "Not a dataset", path, `an object with a ${what}`);
    if (message.shared) throw structure.error("unsupported", `A shared ${what}`, path);
    return message.data;
  };
  const layout = find(MESSAGE.layout, "layout");
  if (messages.some(({ type }) => type === MESSAGE.filters)) {
    throw structure.error("unsupported", "Compressed data", path, "plain contiguous data");
  }
  if (messages.some(({ type }) => type === MESSAGE.externalFiles)) {
    throw structure.error("unsupported", "Data in another file", path, "plain contiguous data");
  }
  const shape = readShape(find(MESSAGE.dataspace, "dataspace"), path, structure);
  const dtype = readType(find(MESSAGE.datatype, "datatype"), path, structure, declared);
  const size = elementCount(shape);
  if (size === undefined || !Number.isSafeInteger(size * ELEMENT_SIZE[dtype])) {
    throw structure.error("damaged", "An impossible shape", path, undefined, `[${shape.join(", ")}]`);
  }
  const bytes = size * ELEMENT_SIZE[dtype];
  const version = layout.u8(0);
  const kind = layout.u8(1);
  if ((version !== 3 && version !== 4) || kind !== 1) {
    throw structure.error(
      "unsupported",
      "Data stored in another way",
      path,
      "contiguous data",
      LAYOUTS[kind] ?? `layout ${kind}, version ${version}`,
    );
  }
  const position = layout.address(2);
  const stored = layout.u64(10);
  if (size === 0) return { shape, dtype, size, position: 0 };
  if (position === UNDEFINED_ADDRESS) throw structure.error("damaged", "A dataset that was never written", path);
  if (stored < bytes) {
    throw structure.error(
      "damaged",
      "A dataset is shorter than its shape",
      path,
      `${bytes} bytes for [${shape.join(", ")}] of ${dtype}`,
      `${stored} bytes`,
    );
  }
  return { shape, dtype, size, position };
}

const LAYOUTS = ["compact data", "contiguous data of an old version", "chunked data", "virtual data"];

function readShape(block: Block, path: string, structure: Structure): number[] {
  const version = block.u8(0);
  const rank = block.u8(1);
  if (version !== 1 && version !== 2) throw structure.error("damaged", "No dataspace", path, "version 1 or 2", `${version}`);
  if (version === 2 && block.u8(3) === 2) throw structure.error("unsupported", "An empty dataspace", path);
  if (rank > 32) throw structure.error("damaged", "Too many dimensions", path, "at most 32", `${rank}`);
  const start = version === 1 ? 8 : 4;
  return Array.from({ length: rank }, (_, i) => block.u64(start + 8 * i));
}

/** Exponent location, exponent size, mantissa size and bias of each floating-point type, in that order. */
const FLOATS: Readonly<Record<string, ElementType>> = {
  "10,5,10,15": "float16",
  "7,8,7,127": "bfloat16",
  "23,8,23,127": "float32",
  "52,11,52,1023": "float64",
};
const INTEGERS: Readonly<Record<string, ElementType>> = {
  "1,false": "uint8",
  "1,true": "int8",
  "2,false": "uint16",
  "2,true": "int16",
  "4,false": "uint32",
  "4,true": "int32",
  "8,false": "uint64",
  "8,true": "int64",
};

function readType(block: Block, path: string, structure: Structure, declared: () => string | undefined): ElementType {
  const kind = block.u8(0) & 15;
  const bits = block.u8(1);
  const size = block.u32(4);
  let found: string | undefined;
  if (kind === 0 || kind === 1) {
    if (bits & 1) throw structure.error("unsupported", "Big-endian numbers", path, "little-endian numbers");
    const type = kind === 0
      ? INTEGERS[`${size},${(bits & 8) !== 0}`]
      : FLOATS[[block.u8(12), block.u8(13), block.u8(15), block.u32(16)].join(",")];
    if (type && ELEMENT_SIZE[type] === size) return type;
    found = `${kind === 0 ? "integers" : "floating-point numbers"} of ${size} bytes`;
  } else if (kind === 5) {
    // Keras writes bfloat16 as opaque bytes and says so in an attribute.
    const name = declared();
    if (size === 2 && name === "bfloat16") return "bfloat16";
    found = `opaque data of ${size} bytes${name ? ` called ${JSON.stringify(name)}` : ""}`;
  }
  throw structure.error("unsupported", "Elements of another type", path, "numbers", found ?? `datatype class ${kind}`);
}

/** An attribute's name and value if it holds one string (of fixed or variable length). */
function readAttribute(message: Message, path: string, structure: Structure): [string, string] | undefined {
  const { data, shared } = message;
  const version = data.u8(0);
  if (shared || version < 1 || version > 3) return undefined;
  const sizes = [data.u16(2), data.u16(4), data.u16(6)];
  const stride = (size: number): number => version === 1 ? Math.ceil(size / 8) * 8 : size;
  let at = version === 3 ? 9 : 8;
  const parts = sizes.map((size) => {
    const part = data.part(at, size);
    at += stride(size);
    return part;
  });
  const [name, type, space] = parts;
  if (readCount(space, path, structure) !== 1) return undefined;
  const kind = type.u8(0) & 15;
  if (kind === 3) return [name.text(0), data.part(at, type.u32(4)).text(0)];
  if (kind !== 9 || (type.u8(1) & 15) !== 1) return undefined;
  const length = data.u32(at);
  if (length === 0) return [name.text(0), ""];
  const object = structure.heapObject(data.address(at + 4), data.u32(at + 12), path);
  return [name.text(0), object.part(0, length).text(0)];
}

function readCount(space: Block, path: string, structure: Structure): number | undefined {
  return elementCount(readShape(space, path, structure));
}

/** Writing HDF5 files as Keras does (superblock 0, contiguous little-endian data), through h5wasm, which is loaded when first used. */

import * as fs from "node:fs";
import { OnnxHubError } from "../errors.ts";
import { elementCount } from "./elements.ts";
import { reason } from "./file.ts";

/** What a dataset can be written from; the array's type is the dataset's. */
export type Hdf5Data = Float32Array | Float64Array | Int32Array | Uint32Array | BigInt64Array;

/** An HDF5 file that is being written. Paths are "a/b/c" from the root. */
export interface Hdf5Writer {
  /** Makes a group, and the groups above it, where there is none yet, and gives it attributes (UTF-8 strings). */
  group(path: string, attributes?: Readonly<Record<string, string>>): void;
  /** Writes a dataset; the groups above it are made. `shape` [] is a scalar. */
  dataset(path: string, shape: readonly number[], data: Hdf5Data): void;
  /** Finishes the file. Nothing is complete before. */
  close(): void;
  /** Lets go of the file after an error; what was written of it is of no use. */
  abandon(): void;
}

/** The part of h5wasm's module that is used here: its own classes copy whole datasets into the WebAssembly heap. */
interface Library {
  readonly HEAPU8: Uint8Array;
  readonly FS: { getStream(descriptor: number): Stream };
  readonly H5F_ACC_TRUNC: number;
  readonly H5F_LIBVER_EARLIEST: number;
  readonly H5F_LIBVER_LATEST: number;
  open(path: string, mode: number, trackOrder: boolean, lowest: number, highest: number): bigint;
  close_file(file: bigint): number;
  create_group(file: bigint, path: string, trackOrder: boolean): number;
  create_attribute(file: bigint, path: string, name: string, data: bigint, metadata: Metadata): number;
  create_dataset(file: bigint, path: string, data: bigint, metadata: Metadata): number;
  set_dataset_data(file: bigint, path: string, count: bigint[], offset: bigint[], strides: bigint[], data: bigint): number;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}

/** An emscripten stream; one with `stream_ops` is not written to its descriptor. */
interface Stream {
  node?: { mode: number };
  stream_ops?: { write(stream: unknown, heap: ArrayLike<number>, offset: number, length: number): number };
}

interface Metadata {
  readonly type: number;
  readonly size: number;
  readonly signed: boolean;
  readonly littleEndian: true;
  readonly vlen: boolean;
  readonly cset?: number;
  readonly strpad?: number;
  readonly total_size: number;
  readonly shape: readonly bigint[];
  readonly maxshape: readonly bigint[];
  readonly chunks: null;
  readonly compression: 0;
  readonly compression_opts: readonly number[];
  readonly track_order: false;
}

/** Bytes of the one buffer in the WebAssembly heap that data passes through. */
const BUFFER_BYTES = 4 << 20;

/** What HDF5 wrote to its error stream since last asked. */
let diagnostics = "";
let loading: Promise<Library> | undefined;

function library(): Promise<Library> {
  loading ??= load().catch((cause) => {
    loading = undefined;
    throw new OnnxHubError("format/hdf5-library", "The library that writes HDF5 can't be loaded", {
      found: reason(cause),
      remedy: "In Deno, writing HDF5 takes --allow-env beside --allow-write. Else install the package h5wasm.",
      cause,
    });
  });
  return loading;
}

async function load(): Promise<Library> {
  const { ready } = await import("h5wasm/node");
  const loaded = await ready as unknown as Library;
  // HDF5 prints its error stack to stderr; here it becomes the cause of an OnnxHubError.
  const stderr = loaded.FS.getStream(2);
  stderr.node ??= { mode: 0o20666 };
  stderr.stream_ops = {
    write(_stream, heap, offset, length): number {
      diagnostics += new TextDecoder().decode(Uint8Array.from({ length }, (_, i) => heap[offset + i]));
      return length;
    },
  };
  return loaded;
}

/**
 * Starts an HDF5 file at `path`, replacing a file that is there. The result reads back with h5py as what Keras writes:
 * superblock 0, groups with symbol tables, contiguous data, attributes as UTF-8 strings of variable length.
 *
 * Throws "format/hdf5-write" where the library or the disk refuses, "format/hdf5-library" where the library can't be loaded.
 */
export async function createHdf5(path: string): Promise<Hdf5Writer> {
  const hdf5 = await library();
  // The library says only "unable to open"; the system says why.
  try {
    fs.closeSync(fs.openSync(path, "w"));
  } catch (error) {
    throw new OnnxHubError("format/hdf5-write", "The file can't be written", { path, found: reason(error), cause: error });
  }
  const fail = (what: string, where: string, cause?: unknown): OnnxHubError => {
    const said = diagnostics;
    diagnostics = "";
    const detail = cause === undefined ? said : `${reason(cause)}\n${said}`;
    return new OnnxHubError("format/hdf5-write", what, { path: `${path}, ${where || "/"}`, cause: new Error(detail) });
  };
  // h5wasm swallows the status of some writes: what HDF5 says on its error stream counts too.
  const check = (what: string, where: string, call: () => number | bigint, silent = false): bigint => {
    diagnostics = "";
    let status: bigint;
    try {
      status = BigInt(call());
    } catch (error) {
      throw fail(what, where, error);
    }
    if (status < 0n || (diagnostics !== "" && !silent)) throw fail(what, where);
    return status;
  };

  const { H5F_ACC_TRUNC, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST } = hdf5;
  const file = check(
    "The file can't be written",
    "",
    () => hdf5.open(path, H5F_ACC_TRUNC, false, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST),
  );
  const buffer = hdf5._malloc(BUFFER_BYTES);
  const groups = new Set([""]);
  const written = new Set<string>();
  let open = true;

  const twice = (name: string): OnnxHubError =>
    new OnnxHubError("format/hdf5-twice", "Two objects of one name", { path: `${path}, ${name}` });

  const release = (): boolean => {
    if (!open) return false;
    open = false;
    hdf5._free(buffer);
    return true;
  };

  const makeGroup = (path: string): void => {
    if (groups.has(path)) return;
    if (written.has(path)) throw twice(path);
    makeGroup(above(path));
    check("A group can't be made", path, () => hdf5.create_group(file, `/${path}`, false));
    groups.add(path);
  };

  const attribute = (path: string, name: string, text: string): void => {
    const bytes = new TextEncoder().encode(`${text}\0`);
    const pointer = hdf5._malloc(bytes.length + 4);
    try {
      hdf5.HEAPU8.set(bytes, pointer + 4);
      new DataView(hdf5.HEAPU8.buffer).setUint32(pointer, pointer + 4, true);
      const metadata: Metadata = { ...SCALAR, type: 3, size: 4, signed: false, vlen: true, cset: 1, strpad: 0 };
      check(
        "An attribute can't be written",
        `${path}@${name}`,
        () => hdf5.create_attribute(file, `/${path}`, name, BigInt(pointer), metadata),
      );
    } finally {
      hdf5._free(pointer);
    }
  };

  return {
    group(path: string, attributes: Readonly<Record<string, string>> = {}): void {
      makeGroup(path);
      for (const [name, text] of Object.entries(attributes)) attribute(path, name, text);
    },
    dataset(name: string, shape: readonly number[], data: Hdf5Data): void {
      const size = elementCount(shape);
      if (size !== data.length) {
        throw new OnnxHubError("format/hdf5-shape", "The data don't fill the shape", {
          path: `${path}, ${name}`,
          expected: `${size} elements for [${shape.join(", ")}]`,
          found: `${data.length}`,
        });
      }
      if (written.has(name) || groups.has(name)) throw twice(name);
      makeGroup(above(name));
      written.add(name);
      const dimensions = shape.map(BigInt);
      const metadata: Metadata = { ...SCALAR, ...elementType(data), shape: dimensions, maxshape: dimensions };
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      if (bytes.length <= BUFFER_BYTES) {
        hdf5.HEAPU8.set(bytes, buffer);
        check("A dataset can't be written", name, () => hdf5.create_dataset(file, `/${name}`, BigInt(buffer), metadata));
        return;
      }
      // Made without data, of which HDF5 complains, then filled part by part.
      check("A dataset can't be made", name, () => hdf5.create_dataset(file, `/${name}`, 0n, metadata), true);
      const itemSize = data.BYTES_PER_ELEMENT;
      for (const slab of slabs(shape, BUFFER_BYTES / itemSize)) {
        hdf5.HEAPU8.set(bytes.subarray(slab.start * itemSize, (slab.start + slab.size) * itemSize), buffer);
        const strides = slab.count.map(() => 1n);
        check(
          "A dataset can't be written",
          name,
          () => hdf5.set_dataset_data(file, `/${name}`, slab.count.map(BigInt), slab.offset.map(BigInt), strides, BigInt(buffer)),
        );
      }
    },
    close(): void {
      if (release()) check("The file can't be finished", "", () => hdf5.close_file(file));
    },
    abandon(): void {
      if (release()) hdf5.close_file(file);
    },
  };
}

const SCALAR = {
  littleEndian: true,
  vlen: false,
  total_size: 1,
  shape: [],
  maxshape: [],
  chunks: null,
  compression: 0,
  compression_opts: [],
  track_order: false,
} as const;

/** HDF5's class of a typed array's elements: 0 integers, 1 floating point. */
function elementType(data: Hdf5Data): { type: number; size: number; signed: boolean } {
  const floating = data instanceof Float32Array || data instanceof Float64Array;
  return { type: floating ? 1 : 0, size: data.BYTES_PER_ELEMENT, signed: !(data instanceof Uint32Array) };
}

function above(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Cuts an array into contiguous boxes of at most `limit` elements. */
function* slabs(shape: readonly number[], limit: number): Generator<{ start: number; size: number; offset: number[]; count: number[] }> {
  // Axes before `axis` go one index at a time, `axis` in runs, those after it whole.
  let axis = shape.length - 1;
  let inner = 1;
  while (axis > 0 && inner * shape[axis] <= limit) inner *= shape[axis--];
  const run = Math.max(1, Math.floor(limit / inner));
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  for (let i = 0; i < outer; i++) {
    const index: number[] = [];
    for (let rest = i, a = axis - 1; a >= 0; a--) {
      index.unshift(rest % shape[a]);
      rest = Math.floor(rest / shape[a]);
    }
    for (let at = 0; at < shape[axis]; at += run) {
      const length = Math.min(run, shape[axis] - at);
      yield {
        start: (i * shape[axis] + at) * inner,
        size: length * inner,
        offset: [...index, at, ...shape.slice(axis + 1).map(() => 0)],
        count: [...index.map(() => 1), length, ...shape.slice(axis + 1)],
      };
    }
  }
}

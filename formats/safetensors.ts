/** safetensors files (huggingface.co/docs/safetensors): a JSON header, then the tensors' bytes; read and written tensor by tensor. */

import * as fs from "node:fs";
import { nearest, OnnxHubError } from "../errors.ts";
import { ELEMENT_SIZE, elementCount, type ElementType, readElements, type ReadTarget } from "./elements.ts";
import { type FileReader, openFile, reason } from "./file.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "./json.ts";

/** A tensor of a safetensors file. */
export interface SafetensorsTensor {
  readonly shape: readonly number[];
  /** Undefined for a type that can't be read here (8-bit floats and below). */
  readonly dtype: ElementType | undefined;
  /** The type as the file calls it: "F32", "BF16". */
  readonly type: string;
  readonly size: number;
}

/** An open safetensors file. */
export interface SafetensorsReader {
  readonly path: string;
  /** Every tensor by its name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** The header's `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Reads `count` elements from element `start` on into the beginning of `into`; all of them unless told otherwise. */
  read(name: string, into: ReadTarget, start?: number, count?: number): void;
  close(): void;
}

/** The typed arrays that can be written. */
export type SafetensorsData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A tensor to write. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  /** The data, or what makes them when their turn comes; float16, bfloat16 as bits in a Uint16Array, bool as 0 and 1 in a Uint8Array. */
  readonly data: SafetensorsData | (() => SafetensorsData | Promise<SafetensorsData>);
}

const TYPES: Readonly<Record<ElementType, string>> = {
  bool: "BOOL",
  int8: "I8",
  uint8: "U8",
  int16: "I16",
  uint16: "U16",
  int32: "I32",
  uint32: "U32",
  int64: "I64",
  uint64: "U64",
  float16: "F16",
  bfloat16: "BF16",
  float32: "F32",
  float64: "F64",
};
const NAMES: ReadonlyMap<string, ElementType> = new Map(Object.entries(TYPES).map(([dtype, type]) => [type, dtype as ElementType]));

/** The format's own limit. */
const HEADER_LIMIT = 100_000_000;

/** A tensor, where its data begin in bytes from the file's beginning, and how many bytes they are. */
type Placed = SafetensorsTensor & { readonly position: number; readonly bytes: number };

/**
 * Opens a safetensors file for reading. The header is at most 100 MB; every tensor's offsets must fit its type and shape, and together
 * they must fill the file without a hole or an overlap.
 *
 * Throws "format/missing-file", "format/safetensors-truncated", "format/safetensors-header", "format/safetensors-offsets", or one of the
 * JSON errors.
 */
export function openSafetensors(path: string): SafetensorsReader {
  const file = openFile(path);
  try {
    const { tensors, metadata } = readHeader(file);
    return {
      path,
      tensors,
      metadata,
      read(name: string, into: ReadTarget, start = 0, count?: number): void {
        const tensor = tensors.get(name);
        if (!tensor) {
          const near = nearest(name, tensors.keys());
          throw new OnnxHubError("format/safetensors-missing", "No such tensor", {
            path: `${path}, ${name}`,
            remedy: near && `Did you mean ${near}?`,
          });
        }
        if (!tensor.dtype) {
          throw new OnnxHubError("format/safetensors-dtype", "A tensor of a type that can't be read", {
            path: `${path}, ${name}`,
            expected: [...NAMES.keys()].join(", "),
            found: tensor.type,
          });
        }
        const wanted = count ?? tensor.size - start;
        if (!(Number.isSafeInteger(start) && Number.isSafeInteger(wanted) && start >= 0 && wanted >= 0 && start + wanted <= tensor.size)) {
          throw new OnnxHubError("format/safetensors-range", "A read outside the tensor", {
            path: `${path}, ${name}`,
            expected: `within ${tensor.size} elements`,
            found: `${start} to ${start + wanted}`,
          });
        }
        readElements(file, tensor.dtype, tensor.position + start * ELEMENT_SIZE[tensor.dtype], into, wanted, name);
      },
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function readHeader(file: FileReader): { tensors: Map<string, Placed>; metadata: Record<string, string> } {
  const { path, size } = file;
  const truncated = (expected: string): OnnxHubError =>
    new OnnxHubError("format/safetensors-truncated", "The safetensors file ends too early", {
      path,
      expected,
      found: `${size} bytes`,
      remedy: "Download or save it again.",
    });
  if (size < 8) throw truncated("8 bytes for the header's length");
  const length = Number(new DataView(file.bytes(0, 8, "length").buffer).getBigUint64(0, true));
  if (length > HEADER_LIMIT) {
    throw new OnnxHubError("format/safetensors-header", "Not a safetensors file", {
      path: `${path}, header length`,
      expected: `at most ${HEADER_LIMIT} bytes`,
      found: `${length}`,
    });
  }
  if (8 + length > size) throw truncated(`${8 + length} bytes`);
  const text = new TextDecoder().decode(file.bytes(8, length, "header"));
  const header = parseJson(text, `${path}, header`, { maximumDepth: 4 });
  if (!isJsonObject(header)) throw headerError(file, "", "an object of tensors");

  const metadata: Record<string, string> = {};
  const tensors: [string, Placed][] = [];
  let end = 8 + length;
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") Object.assign(metadata, readMetadata(file, entry));
    else {
      const tensor = readEntry(file, name, entry, 8 + length);
      tensors.push([name, tensor]);
      end = Math.max(end, tensor.position + tensor.bytes);
    }
  }
  if (end > size) throw truncated(`${end} bytes`);
  tensors.sort(([, a], [, b]) => a.position - b.position || a.bytes - b.bytes);
  let expected = 8 + length;
  for (const [name, { position, bytes }] of tensors) {
    if (position !== expected) throw offsetsError(file, name, `data from ${expected - 8 - length} on`, `from ${position - 8 - length} on`);
    expected += bytes;
  }
  if (expected !== size) throw offsetsError(file, "end", `${expected} bytes`, `${size} bytes`);
  return { tensors: new Map(tensors), metadata };
}

function headerError(file: FileReader, field: string, expected: string, found?: string): OnnxHubError {
  return new OnnxHubError("format/safetensors-header", "A bad header", { path: `${file.path}, header${field}`, expected, found });
}

function offsetsError(file: FileReader, name: string, expected: string, found: string): OnnxHubError {
  return new OnnxHubError("format/safetensors-offsets", "The tensors don't fill the file one after the other", {
    path: `${file.path}, ${name}`,
    expected,
    found,
    remedy: "Download or save it again.",
  });
}

function readMetadata(file: FileReader, value: JsonValue | undefined): Record<string, string> {
  if (!isJsonObject(value) || Object.values(value).some((text) => typeof text !== "string")) {
    throw headerError(file, ".__metadata__", "an object of strings");
  }
  return value as Record<string, string>;
}

function readEntry(file: FileReader, name: string, entry: JsonValue | undefined, base: number): Placed {
  const field = `.${name}`;
  if (!isJsonObject(entry)) throw headerError(file, field, "an object with dtype, shape and data_offsets");
  const { dtype: type, shape, data_offsets: offsets } = entry as JsonObject;
  if (typeof type !== "string") throw headerError(file, `${field}.dtype`, "a type's name", JSON.stringify(type));
  const size = Array.isArray(shape) ? elementCount(shape as number[]) : undefined;
  if (size === undefined) throw headerError(file, `${field}.shape`, "whole numbers", JSON.stringify(shape));
  const range = Array.isArray(offsets) && offsets.length === 2 ? offsets as number[] : [];
  const [begin, end] = range;
  if (!(Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && end >= begin)) {
    throw headerError(file, `${field}.data_offsets`, "[begin, end]", JSON.stringify(offsets));
  }
  const dtype = NAMES.get(type);
  if (dtype && end - begin !== size * ELEMENT_SIZE[dtype]) {
    const expected = `${size * ELEMENT_SIZE[dtype]} bytes for [${(shape as number[]).join(", ")}] of ${type}`;
    throw offsetsError(file, name, expected, `${end - begin}`);
  }
  return { shape: shape as number[], dtype, type, size, position: base + begin, bytes: end - begin };
}

/** How a safetensors file is written. */
export interface SafetensorsWriteOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** "sorted" (default): by element size, the larger first, then by name, as the format's own library does. "given": as given. */
  readonly order?: "sorted" | "given";
}

/**
 * Writes a safetensors file, one tensor after the other; only one tensor's data need be in memory. The header is padded so that the data begin
 * at a multiple of 8. Not atomic: see `writeFileAtomic`.
 *
 * Throws "format/safetensors-entry" for data that don't fit their shape or type, "format/write" where the disk refuses.
 */
export async function writeSafetensors(
  path: string,
  entries: readonly SafetensorsEntry[],
  options: SafetensorsWriteOptions = {},
): Promise<void> {
  const { metadata, order = "sorted" } = options;
  const sorted = order === "given"
    ? entries
    : [...entries].sort((a, b) => ELEMENT_SIZE[b.dtype] - ELEMENT_SIZE[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const header: Record<string, unknown> = {};
  if (metadata && Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  for (const { name, dtype, shape } of sorted) {
    const size = elementCount(shape);
    if (size === undefined || Object.hasOwn(header, name) || name === "__metadata__" || name === "__proto__") {
      throw entryError(name, "a name of its own and a shape of whole numbers", `[${shape.join(", ")}]`);
    }
    const end = offset + size * ELEMENT_SIZE[dtype];
    header[name] = { dtype: TYPES[dtype], shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / 8) * 8;
  if (length > HEADER_LIMIT) throw entryError("header", `at most ${HEADER_LIMIT} bytes`, `${length}`);
  const head = new Uint8Array(8 + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, 8);

  let handle: number;
  try {
    handle = fs.openSync(path, "w");
  } catch (error) {
    throw writeError(path, error);
  }
  try {
    write(handle, head, path);
    for (const entry of sorted) write(handle, bytesOf(entry, typeof entry.data === "function" ? await entry.data() : entry.data), path);
  } finally {
    fs.closeSync(handle);
  }
}

function bytesOf({ name, dtype, shape }: SafetensorsEntry, data: SafetensorsData): Uint8Array {
  const wanted = elementCount(shape)! * ELEMENT_SIZE[dtype];
  if (data.byteLength !== wanted || data.BYTES_PER_ELEMENT !== ELEMENT_SIZE[dtype]) {
    throw entryError(
      name,
      `${wanted} bytes for [${shape.join(", ")}] of ${dtype}`,
      `${data.byteLength} bytes in elements of ${data.BYTES_PER_ELEMENT}`,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function write(handle: number, bytes: Uint8Array, path: string): void {
  try {
    for (let done = 0; done < bytes.length;) done += fs.writeSync(handle, bytes, done, Math.min(bytes.length - done, 1 << 26));
  } catch (error) {
    throw writeError(path, error);
  }
}

function entryError(name: string, expected: string, found: string): OnnxHubError {
  return new OnnxHubError("format/safetensors-entry", "A tensor that can't be written", { path: name, expected, found });
}

function writeError(path: string, error: unknown): OnnxHubError {
  return new OnnxHubError("format/write", "The file can't be written", { path, found: reason(error), cause: error });
}

/** One file out of a ZIP archive: what Kaggle sends where it compressed a file on its own account. */

import * as fs from "node:fs";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { OnnxHubError } from "../../errors.ts";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_LENGTH = 22;
const ENTRY_LENGTH = 46;
const LOCAL_LENGTH = 30;
const MAX_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
/** Deflate makes of a byte no more than this. */
const MAX_RATIO = 1032;

/** Whether a file begins as a ZIP archive does. */
export function isZip(path: string): boolean {
  const handle = fs.openSync(path, "r");
  try {
    const head = new Uint8Array(4);
    return fs.readSync(handle, head, 0, 4, 0) === 4 && new DataView(head.buffer).getUint32(0, true) === LOCAL;
  } finally {
    fs.closeSync(handle);
  }
}

/**
 * Writes the only file of an archive, which must be called `name`, to `target`. Its name is compared and never used as a path; its length is checked
 * before anything is written and while it is, its CRC-32 at the end.
 *
 * Throws "preset/archive" for what is no such archive: several files, another name, encryption, sizes that contradict each other or what can be.
 */
export async function extractOnly(archive: string, name: string, target: string): Promise<void> {
  const handle = fs.openSync(archive, "r");
  let out: number | undefined;
  try {
    const { start, compressed, size, crc, deflated } = readEntry(archive, handle, name);
    out = fs.openSync(target, "w");
    let length = 0;
    let checksum = 0;
    const take = async (chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> => {
      for await (const chunk of chunks) {
        if (length + chunk.length > size) throw bad(archive, `${size} bytes`, "more");
        for (let done = 0; done < chunk.length;) done += fs.writeSync(out!, chunk, done, chunk.length - done, length + done);
        length += chunk.length;
        checksum = crc32(chunk, checksum);
      }
    };
    const blocks = readBlocks(archive, handle, start, compressed);
    try {
      if (deflated) await pipeline(blocks, createInflateRaw(), take);
      else await take(blocks);
    } catch (error) {
      const { code, syscall, message } = error as { code?: unknown; syscall?: unknown; message: string };
      // What the file system refuses has the name of its call.
      if (error instanceof OnnxHubError || syscall !== undefined || typeof code !== "string") throw error;
      throw bad(archive, "deflated content", message);
    }
    if (length !== size) throw bad(archive, `${size} bytes`, `${length}`);
    if (checksum !== crc) throw bad(archive, `CRC-32 ${crc.toString(16)}`, checksum.toString(16));
  } finally {
    fs.closeSync(handle);
    if (out !== undefined) fs.closeSync(out);
  }
}

/** The bytes of a part of a file, a block at a time. */
function* readBlocks(archive: string, handle: number, start: number, length: number): Generator<Uint8Array, void> {
  for (let done = 0; done < length;) {
    const block = new Uint8Array(Math.min(length - done, 1 << 18));
    const count = fs.readSync(handle, block, 0, block.length, start + done);
    if (count === 0) throw bad(archive, `${length} bytes at ${start}`, `${done}`);
    yield block.subarray(0, count);
    done += count;
  }
}

interface Entry {
  /** Where the content starts. */
  readonly start: number;
  readonly compressed: number;
  readonly size: number;
  readonly crc: number;
  readonly deflated: boolean;
}

function readEntry(archive: string, handle: number, name: string): Entry {
  const length = fs.fstatSync(handle).size;
  const read = (position: number, count: number): DataView<ArrayBuffer> => {
    if (position < 0 || position + count > length) throw bad(archive, "a whole archive", `${length} bytes`);
    const block = new Uint8Array(count);
    for (let done = 0; done < count;) {
      const got = fs.readSync(handle, block, done, count - done, position + done);
      if (got === 0) throw bad(archive, "a whole archive", `${position + done} bytes`);
      done += got;
    }
    return new DataView(block.buffer);
  };
  const tailLength = Math.min(length, END_LENGTH + MAX_COMMENT);
  const tail = read(length - tailLength, tailLength);
  let at = tailLength - END_LENGTH;
  while (at >= 0 && !(tail.getUint32(at, true) === END && at + END_LENGTH + tail.getUint16(at + 20, true) === tailLength)) at--;
  if (at < 0) throw bad(archive, "a directory at the end", "none");
  const count = tail.getUint16(at + 10, true);
  if (count !== 1 || tail.getUint16(at + 8, true) !== 1 || tail.getUint16(at + 4, true) !== 0) throw bad(archive, "one file", `${count}`);
  const directory = tail.getUint32(at + 16, true);
  const entry = read(directory, ENTRY_LENGTH);
  if (entry.getUint32(0, true) !== ENTRY) throw bad(archive, "a directory entry", "something else");
  const nameLength = entry.getUint16(28, true);
  const found = new TextDecoder().decode(read(directory + ENTRY_LENGTH, nameLength));
  if (found !== name) throw bad(archive, name, JSON.stringify(found));
  const flags = entry.getUint16(8, true);
  if (flags & 1) throw bad(archive, "plain content", "encrypted");
  const method = entry.getUint16(10, true);
  if (method !== STORED && method !== DEFLATED) throw bad(archive, "deflated or stored content", `method ${method}`);
  const compressed = entry.getUint32(20, true);
  const size = entry.getUint32(24, true);
  const offset = entry.getUint32(42, true);
  if (compressed === 0xffffffff || size === 0xffffffff || offset === 0xffffffff) throw bad(archive, "less than 4 GiB", "ZIP64");
  if (size > (method === STORED ? compressed : compressed * MAX_RATIO)) {
    throw bad(archive, "a length that can be", `${size} bytes out of ${compressed}`);
  }
  const local = read(offset, LOCAL_LENGTH);
  if (local.getUint32(0, true) !== LOCAL) throw bad(archive, "the file's header", "something else");
  const start = offset + LOCAL_LENGTH + local.getUint16(26, true) + local.getUint16(28, true);
  if (start + compressed > directory) throw bad(archive, "content before the directory", `${compressed} bytes at ${start}`);
  return { start, compressed, size, crc: entry.getUint32(16, true), deflated: method === DEFLATED };
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** CRC-32 of bytes that follow others with the CRC-32 `before`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let value = ~before;
  for (let i = 0; i < bytes.length; i++) value = CRC_TABLE[(value ^ bytes[i]) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}

function bad(archive: string, expected: string, found: string): OnnxHubError {
  return new OnnxHubError("preset/archive", "The hub sent an archive that is not what it should be", { path: archive, expected, found });
}

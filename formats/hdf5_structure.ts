/** The structure of an HDF5 file: superblock, groups and object headers, read with every size and address checked. */

import { OnnxHubError } from "../errors.ts";
import type { FileReader } from "./file.ts";

/** One message of an object header (HDF5 File Format Specification, version 3, IV.A). */
export interface Message {
  readonly type: number;
  readonly shared: boolean;
  readonly data: Block;
}

/** An entry of a group. */
export interface Link {
  /** Where the object's header is; unused for a soft link. */
  readonly address: number;
  readonly soft: boolean;
}

/** Message types. */
export const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  link: 0x06,
  externalFiles: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
} as const;

/** What can be wrong: the last part of an error's code. */
export type StructureError = "damaged" | "missing" | "range" | "signature" | "truncated" | "unsupported";

const REMEDIES: Readonly<Record<StructureError, string | undefined>> = {
  damaged: "Download or save it again.",
  missing: undefined,
  range: undefined,
  signature: undefined,
  truncated: "Download or save it again.",
  unsupported: "Save the file again with h5py's or Keras' defaults.",
};

/** Far above anything a model needs, far below anything that hurts. */
const LIMITS = {
  headerBytes: 16 << 20,
  heapBytes: 64 << 20,
  collectionBytes: 16 << 20,
  nameBytes: 4096,
  treeNodes: 1 << 20,
} as const;

/** An address that HDF5 calls undefined. */
export const UNDEFINED_ADDRESS = -1;

/** Bytes with little-endian accessors that throw "format/hdf5-damaged" past the end. */
export class Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #fail: (what: string) => OnnxHubError;

  constructor(bytes: Uint8Array<ArrayBuffer>, fail: (what: string) => OnnxHubError) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#fail = fail;
  }

  get length(): number {
    return this.bytes.length;
  }

  #check(offset: number, size: number): void {
    if (!(offset >= 0 && offset + size <= this.bytes.length)) throw this.#fail("A structure ends too early");
  }

  u8(offset: number): number {
    this.#check(offset, 1);
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    this.#check(offset, 2);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    this.#check(offset, 4);
    return this.#view.getUint32(offset, true);
  }

  /** A length. */
  u64(offset: number): number {
    this.#check(offset, 8);
    const value = Number(this.#view.getBigUint64(offset, true));
    if (!Number.isSafeInteger(value)) throw this.#fail(`An impossible size of ${value} bytes`);
    return value;
  }

  /** An address, or UNDEFINED_ADDRESS. */
  address(offset: number): number {
    this.#check(offset, 8);
    if (this.#view.getBigUint64(offset, true) === 0xffffffffffffffffn) return UNDEFINED_ADDRESS;
    return this.u64(offset);
  }

  part(offset: number, length: number): Block {
    this.#check(offset, length);
    return new Block(this.bytes.subarray(offset, offset + length), this.#fail);
  }

  ascii(offset: number, length: number): string {
    this.#check(offset, length);
    return String.fromCharCode(...this.bytes.subarray(offset, offset + length));
  }

  /** The UTF-8 text from `offset` up to a NUL or the end. */
  text(offset: number, limit: number = this.bytes.length - offset): string {
    this.#check(offset, 0);
    const end = this.bytes.subarray(offset, offset + limit).indexOf(0);
    return new TextDecoder().decode(this.bytes.subarray(offset, end < 0 ? offset + limit : offset + end));
  }
}

/** An HDF5 file's objects by their addresses. `where` in each call is for error messages: the object's path in the file. */
export class Structure {
  readonly root: number;
  readonly #file: FileReader;
  readonly #collections = new Map<number, Map<number, Block>>();

  constructor(file: FileReader) {
    this.#file = file;
    this.root = this.#superblock();
  }

  /** An error about a place in this file. */
  error(code: StructureError, what: string, where: string, expected?: string, found?: string): OnnxHubError {
    return new OnnxHubError(`format/hdf5-${code}`, what, { path: `${this.#file.path}, ${where}`, expected, found, remedy: REMEDIES[code] });
  }

  #block(address: number, length: number, where: string, what: string): Block {
    if (!(address >= 0 && address + length <= this.#file.size)) {
      throw this.error(
        "damaged",
        `${what} lies outside the file`,
        where,
        `at most ${this.#file.size} bytes`,
        `bytes ${address} to ${address + length}`,
      );
    }
    return new Block(this.#file.bytes(address, length, what), (problem) => this.error("damaged", `${what}: ${problem}`, where));
  }

  #superblock(): number {
    const { size } = this.#file;
    const where = "superblock";
    if (size < 9 || !this.#file.bytes(0, 8, "signature").every((byte, i) => byte === SIGNATURE[i])) {
      throw this.error("signature", "Not an HDF5 file", "byte 0", "the HDF5 signature", size === 0 ? "an empty file" : "other bytes");
    }
    const version = this.#file.bytes(8, 1, "superblock")[0];
    if (version > 1) throw this.error("unsupported", "A newer HDF5 layout", where, "superblock version 0 or 1", `version ${version}`);
    const length = version === 0 ? 96 : 100;
    if (size < length) throw this.error("truncated", "The file ends too early", where, `${length} bytes`, `${size} bytes`);
    const block = this.#block(0, length, where, "The superblock");
    const widths = `${block.u8(13)} and ${block.u8(14)}`;
    if (widths !== "8 and 8") throw this.error("unsupported", "Other than 8-byte addresses and sizes", where, "8 and 8", widths);
    const base = length - 72; // base address, free space, end of file, driver info, then the root's symbol table entry
    if (block.address(base) !== 0) throw this.error("unsupported", "A user block", where, "base address 0", `${block.address(base)}`);
    const end = block.address(base + 16);
    if (end > size) throw this.error("truncated", "The file ends too early", where, `${end} bytes`, `${size} bytes`);
    return block.address(base + 40);
  }

  /** The messages of an object header, continuation blocks included. */
  messages(address: number, where: string): Message[] {
    const prefix = this.#block(address, 16, where, "An object header");
    if (prefix.ascii(0, 4) === "OHDR") {
      throw this.error("unsupported", "A newer HDF5 layout", where, "object header version 1", "version 2");
    }
    if (prefix.u8(0) !== 1) throw this.error("damaged", "No object header", where, "version 1", `${prefix.u8(0)}`);
    const count = prefix.u16(2);
    const blocks: [number, number][] = [[address + 16, prefix.u32(8)]];
    const seen = new Set<number>();
    const messages: Message[] = [];
    let total = 0;
    for (let next = blocks.shift(); next; next = blocks.shift()) {
      const [start, length] = next;
      total += length;
      if (seen.has(start)) throw this.error("damaged", "An object header that continues in itself", where);
      if (total > LIMITS.headerBytes) {
        throw this.error("damaged", "An object header is too large", where, `at most ${LIMITS.headerBytes} bytes`, `${total} bytes`);
      }
      seen.add(start);
      const block = this.#block(start, length, where, "An object header");
      for (let at = 0; at + 8 <= length && messages.length < count;) {
        const size = block.u16(at + 2);
        const message = { type: block.u16(at), shared: (block.u8(at + 4) & 2) !== 0, data: block.part(at + 8, size) };
        messages.push(message);
        if (message.type === MESSAGE.continuation) blocks.push([message.data.address(0), message.data.u64(8)]);
        at += 8 + size;
      }
    }
    return messages;
  }

  /** A group's links by name, or undefined when the object is no group. */
  links(address: number, where: string): Map<string, Link> | undefined {
    const messages = this.messages(address, where);
    const table = messages.find((message) => message.type === MESSAGE.symbolTable);
    if (table) return this.#symbolTable(table.data.address(0), table.data.address(8), where);
    if (messages.some(({ type }) => type === MESSAGE.linkInfo || type === MESSAGE.link)) {
      throw this.error("unsupported", "A newer HDF5 layout", where, "a group with a symbol table", "a group with links in its header");
    }
    return undefined;
  }

  #symbolTable(tree: number, heap: number, where: string): Map<string, Link> {
    const header = this.#block(heap, 32, where, "A group's heap");
    if (header.ascii(0, 4) !== "HEAP") throw this.error("damaged", "A group without its heap of names", where);
    const heapBytes = header.u64(8);
    if (heapBytes > LIMITS.heapBytes) {
      throw this.error("damaged", "A group's heap is too large", where, `at most ${LIMITS.heapBytes} bytes`, `${heapBytes} bytes`);
    }
    const names = this.#block(header.address(24), heapBytes, where, "A group's names");
    const links = new Map<string, Link>();
    const seen = new Set<number>();
    const visit = (node: number, level: number | undefined): void => {
      if (seen.has(node) || seen.size > LIMITS.treeNodes) throw this.error("damaged", "A group's tree runs in a circle", where);
      seen.add(node);
      const head = this.#block(node, 8, where, "A group's tree");
      if (level === 0) return this.#symbols(node, names, links, where);
      if (head.ascii(0, 4) !== "TREE" || head.u8(4) !== 0) throw this.error("damaged", "A group without its tree", where);
      const own = head.u8(5) + 1; // leaves of the tree are level 0, the symbol nodes below them are ours
      if (level !== undefined && own !== level) throw this.error("damaged", "A group's tree is uneven", where);
      const count = head.u16(6);
      const entries = this.#block(node + 24, count * 16 + 8, where, "A group's tree");
      for (let i = 0; i < count; i++) visit(entries.address(8 + 16 * i), own - 1);
    };
    visit(tree, undefined);
    return links;
  }

  #symbols(node: number, names: Block, links: Map<string, Link>, where: string): void {
    const head = this.#block(node, 8, where, "A group's symbols");
    if (head.ascii(0, 4) !== "SNOD") throw this.error("damaged", "A group without its symbols", where);
    const count = head.u16(6);
    const entries = this.#block(node + 8, count * 40, where, "A group's symbols");
    for (let i = 0; i < count; i++) {
      const offset = entries.u64(40 * i);
      if (offset >= names.length) throw this.error("damaged", "A name outside the group's heap", where);
      const name = names.text(offset, Math.min(LIMITS.nameBytes, names.length - offset));
      if (name === "" || name.includes("/") || links.has(name)) {
        throw this.error("damaged", "A bad name in a group", where, "distinct names without a slash", JSON.stringify(name));
      }
      links.set(name, { address: entries.address(40 * i + 8), soft: entries.u32(40 * i + 16) === 2 });
    }
  }

  /** Object `index` of the global heap collection at `address`: where strings of variable length are. */
  heapObject(address: number, index: number, where: string): Block {
    let objects = this.#collections.get(address);
    if (!objects) {
      objects = this.#collection(address, where);
      this.#collections.set(address, objects);
    }
    const object = objects.get(index);
    if (!object) throw this.error("damaged", "A string that isn't there", where, `object ${index} of the heap at ${address}`);
    return object;
  }

  #collection(address: number, where: string): Map<number, Block> {
    const header = this.#block(address, 16, where, "A heap of strings");
    const size = header.u64(8);
    if (header.ascii(0, 4) !== "GCOL" || size < 16 || size > LIMITS.collectionBytes) {
      throw this.error("damaged", "No heap of strings", where, `"GCOL" and at most ${LIMITS.collectionBytes} bytes`);
    }
    const block = this.#block(address, size, where, "A heap of strings");
    const objects = new Map<number, Block>();
    for (let at = 16; at + 16 <= size;) {
      const index = block.u16(at);
      if (index === 0) break; // free space
      const length = block.u64(at + 8);
      objects.set(index, block.part(at + 16, length));
      at += 16 + Math.ceil(length / 8) * 8;
    }
    return objects;
  }
}

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

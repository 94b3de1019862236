/** A page's files: folders and bytes in memory, by absolute path. What the system's disk is elsewhere. */

import { resolve } from "./node/path.ts";

/** A file; several paths may lead to it. */
export interface MemoryFile {
  readonly kind: "file";
  /** Room for more than `size`, so that writing at the end doesn't copy all of it each time. */
  bytes: Uint8Array<ArrayBuffer>;
  size: number;
  /** Milliseconds since 1970. */
  modified: number;
}

/** A folder. */
export interface MemoryFolder {
  readonly kind: "folder";
  readonly entries: Map<string, MemoryFile | MemoryFolder>;
}

const newFolder = (): MemoryFolder => ({ kind: "folder", entries: new Map() });
const root = newFolder();

/** An error as node:fs throws it. */
export function systemError(code: string, what: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${what}, ${call} '${path}'`), { code, syscall: call, path });
}

function namesOf(path: string): string[] {
  return resolve(path).split("/").filter(Boolean);
}

/** What is at a path, if anything. */
export function find(path: string): MemoryFile | MemoryFolder | undefined {
  let at: MemoryFile | MemoryFolder | undefined = root;
  for (const name of namesOf(path)) at = at?.kind === "folder" ? at.entries.get(name) : undefined;
  return at;
}

/** What is at a path; throws ENOENT. */
export function get(path: string, call: string): MemoryFile | MemoryFolder {
  const found = find(path);
  if (!found) throw systemError("ENOENT", "no such file or directory", call, path);
  return found;
}

/** The folder at a path; throws ENOENT and ENOTDIR. */
export function getFolder(path: string, call: string): MemoryFolder {
  const found = get(path, call);
  if (found.kind !== "folder") throw systemError("ENOTDIR", "not a directory", call, path);
  return found;
}

/** The file at a path; throws ENOENT and EISDIR. */
export function getFile(path: string, call: string): MemoryFile {
  const found = get(path, call);
  if (found.kind !== "file") throw systemError("EISDIR", "illegal operation on a directory", call, path);
  return found;
}

/** The folder that a path lies in, and its name there. */
export function placeOf(path: string, call: string): { folder: MemoryFolder; name: string } {
  const names = namesOf(path);
  const name = names.pop();
  if (name === undefined) throw systemError("EPERM", "operation not permitted", call, path);
  return { folder: getFolder(`/${names.join("/")}`, call), name };
}

/** Puts a file or folder at a path, in place of a file that is there. */
export function put(path: string, what: MemoryFile | MemoryFolder, call: string): void {
  const { folder, name } = placeOf(path, call);
  folder.entries.set(name, what);
}

/** Makes a folder, and where `parents` says so all above it. Throws EEXIST, with `parents` only for a file. */
export function makeFolder(path: string, parents: boolean): void {
  if (parents) {
    const names = namesOf(path);
    names.forEach((_, i) => {
      const above = `/${names.slice(0, i + 1).join("/")}`;
      const found = find(above);
      if (found?.kind === "file") throw systemError("EEXIST", "file already exists", "mkdir", path);
      if (!found) put(above, newFolder(), "mkdir");
    });
    return;
  }
  if (find(path)) throw systemError("EEXIST", "file already exists", "mkdir", path);
  put(path, newFolder(), "mkdir");
}

/** An empty file. */
export function newFile(): MemoryFile {
  return { kind: "file", bytes: new Uint8Array(0), size: 0, modified: Date.now() };
}

/** The bytes of a file, not copied. */
export function contents(file: MemoryFile): Uint8Array<ArrayBuffer> {
  return file.bytes.subarray(0, file.size);
}

/** Writes into a file, which grows as it must; what lies between its end and `position` is zero. */
export function writeAt(file: MemoryFile, bytes: Uint8Array, position: number): void {
  const end = position + bytes.length;
  if (end > file.bytes.length) {
    const larger = new Uint8Array(Math.max(end, position === 0 ? 0 : 2 * file.bytes.length));
    larger.set(contents(file));
    file.bytes = larger;
  }
  file.bytes.set(bytes, position);
  file.size = Math.max(file.size, end);
  file.modified = Date.now();
}

/** Cuts a file, or fills it up with zeros. */
export function resize(file: MemoryFile, size: number): void {
  if (size > file.size) return writeAt(file, new Uint8Array(size - file.size), file.size);
  file.bytes.fill(0, size, file.size);
  file.size = size;
  file.modified = Date.now();
}

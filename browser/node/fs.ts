/** node:fs in a page, as far as the library uses it, over the files in memory. Every function does what Node documents, and throws its codes. */

import {
  contents,
  find,
  get,
  getFile,
  getFolder,
  makeFolder,
  type MemoryFile,
  type MemoryFolder,
  newFile,
  placeOf,
  put,
  resize,
  systemError,
  writeAt,
} from "../memory_files.ts";
import { join, resolve } from "./path.ts";

interface Stats {
  readonly size: number;
  readonly mtimeMs: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

interface Dirent extends Omit<Stats, "size" | "mtimeMs"> {
  readonly name: string;
}

const kinds = ({ kind }: MemoryFile | MemoryFolder) => ({
  isFile: () => kind === "file",
  isDirectory: () => kind === "folder",
  isSymbolicLink: () => false,
});

function statsOf(entry: MemoryFile | MemoryFolder): Stats {
  return { size: entry.kind === "file" ? entry.size : 0, mtimeMs: entry.kind === "file" ? entry.modified : 0, ...kinds(entry) };
}

/** See node:fs. */
export function existsSync(path: string): boolean {
  return find(path) !== undefined;
}

/** See node:fs. */
export function statSync(path: string): Stats {
  return statsOf(get(path, "stat"));
}

/** There are no links. */
export const lstatSync: typeof statSync = statSync;

/** See node:fs. */
export function realpathSync(path: string): string {
  get(path, "realpath");
  return resolve(path);
}

/** See node:fs. */
export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
/** See node:fs. */
export function readFileSync(path: string, encoding: "utf8"): string;
export function readFileSync(path: string, encoding?: "utf8"): Uint8Array<ArrayBuffer> | string {
  const bytes = contents(getFile(path, "open")).slice();
  return encoding ? new TextDecoder().decode(bytes) : bytes;
}

const bytesOf = (data: string | Uint8Array): Uint8Array => typeof data === "string" ? new TextEncoder().encode(data) : data;

/** See node:fs. */
export function writeFileSync(path: string, data: string | Uint8Array): void {
  const file = fileForWriting(path, false);
  resize(file, 0);
  writeAt(file, bytesOf(data), 0);
}

/** See node:fs. */
export function appendFileSync(path: string, data: string | Uint8Array): void {
  const file = fileForWriting(path, false);
  writeAt(file, bytesOf(data), file.size);
}

function fileForWriting(path: string, exclusive: boolean): MemoryFile {
  const found = find(path);
  if (found && exclusive) throw systemError("EEXIST", "file already exists", "open", path);
  if (found) return getFile(path, "open");
  const file = newFile();
  put(path, file, "open");
  return file;
}

const descriptors = new Map<number, { readonly entry: MemoryFile | MemoryFolder; position: number }>();
let lastDescriptor = 2;

/** See node:fs. */
export function openSync(path: string, flags: "r" | "r+" | "w" | "w+" | "wx" | "a" = "r"): number {
  const writes = flags !== "r" && flags !== "r+";
  const entry = writes ? fileForWriting(path, flags === "wx") : flags === "r" ? get(path, "open") : getFile(path, "open");
  if (flags.startsWith("w")) resize(entry as MemoryFile, 0);
  descriptors.set(++lastDescriptor, { entry, position: flags === "a" ? (entry as MemoryFile).size : 0 });
  return lastDescriptor;
}

function opened(descriptor: number, call: string): { readonly entry: MemoryFile; position: number } {
  const found = descriptors.get(descriptor);
  if (!found) throw systemError("EBADF", "bad file descriptor", call, String(descriptor));
  if (found.entry.kind !== "file") throw systemError("EISDIR", "illegal operation on a directory", call, String(descriptor));
  return found as { readonly entry: MemoryFile; position: number };
}

/** See node:fs. */
export function closeSync(descriptor: number): void {
  if (!descriptors.delete(descriptor)) throw systemError("EBADF", "bad file descriptor", "close", String(descriptor));
}

/** See node:fs. */
export function fstatSync(descriptor: number): Stats {
  const found = descriptors.get(descriptor);
  if (!found) throw systemError("EBADF", "bad file descriptor", "fstat", String(descriptor));
  return statsOf(found.entry);
}

/** See node:fs. */
export function readSync(
  descriptor: number,
  into: Uint8Array,
  offset = 0,
  length = into.length - offset,
  position: number | null = null,
): number {
  const file = opened(descriptor, "read");
  const at = position ?? file.position;
  const part = contents(file.entry).subarray(at, at + length);
  into.set(part, offset);
  if (position === null) file.position = at + part.length;
  return part.length;
}

/** See node:fs. */
export function writeSync(
  descriptor: number,
  data: string | Uint8Array,
  offset = 0,
  length = data.length - offset,
  position: number | null = null,
): number {
  const file = opened(descriptor, "write");
  const bytes = typeof data === "string" ? bytesOf(data) : data.subarray(offset, offset + length);
  const at = position ?? file.position;
  writeAt(file.entry, bytes, at);
  if (position === null) file.position = at + bytes.length;
  return bytes.length;
}

/** See node:fs. */
export function ftruncateSync(descriptor: number, size = 0): void {
  resize(opened(descriptor, "ftruncate").entry, size);
}

/** What is in memory needs no flushing. */
export function fsyncSync(_descriptor: number): void {}

/** See node:fs. */
export function mkdirSync(path: string, { recursive = false }: { recursive?: boolean } = {}): void {
  makeFolder(path, recursive);
}

/** See node:fs. */
export function readdirSync(path: string, options?: { recursive?: boolean }): string[];
/** See node:fs. */
export function readdirSync(path: string, options: { withFileTypes: true }): Dirent[];
export function readdirSync(path: string, { recursive = false, withFileTypes = false } = {}): string[] | Dirent[] {
  const { entries } = getFolder(path, "scandir");
  if (withFileTypes) return [...entries].map(([name, entry]) => ({ name, ...kinds(entry) }));
  return [...entries].flatMap(([name, entry]) =>
    recursive && entry.kind === "folder"
      ? [name, ...readdirSync(join(path, name), { recursive }).map((inner) => join(name, inner))]
      : [name]
  );
}

/** See node:fs. */
export function renameSync(from: string, to: string): void {
  const moved = get(from, "rename");
  const there = find(to);
  if (there === moved) return;
  if (there?.kind === "folder") {
    if (moved.kind === "file") throw systemError("EISDIR", "illegal operation on a directory", "rename", from);
    if (there.entries.size > 0) throw systemError("ENOTEMPTY", "directory not empty", "rename", from);
  } else if (there && moved.kind === "folder") throw systemError("ENOTDIR", "not a directory", "rename", from);
  const old = placeOf(from, "rename");
  put(to, moved, "rename");
  old.folder.entries.delete(old.name);
}

/** See node:fs. */
export function rmSync(path: string, { recursive = false, force = false }: { recursive?: boolean; force?: boolean } = {}): void {
  const found = find(path);
  if (!found && force) return;
  if (get(path, "rm").kind === "folder" && !recursive) throw systemError("ERR_FS_EISDIR", "Path is a directory", "rm", path);
  const { folder, name } = placeOf(path, "rm");
  folder.entries.delete(name);
}

/** See node:fs. */
export function rmdirSync(path: string): void {
  if (getFolder(path, "rmdir").entries.size > 0) throw systemError("ENOTEMPTY", "directory not empty", "rmdir", path);
  rmSync(path, { recursive: true });
}

/** See node:fs. */
export function linkSync(from: string, to: string): void {
  const file = getFile(from, "link");
  if (find(to)) throw systemError("EEXIST", "file already exists", "link", from);
  put(to, file, "link");
}

/** See node:fs. */
export function copyFileSync(from: string, to: string): void {
  writeFileSync(to, contents(getFile(from, "copyfile")));
}

/** There are no symbolic links. */
export function symlinkSync(_target: string, path: string): void {
  throw systemError("EPERM", "operation not permitted", "symlink", path);
}

/** There are no symbolic links. */
export function readlinkSync(path: string): string {
  throw systemError("EINVAL", "invalid argument", "readlink", path);
}

/** Files and directories that are written whole or not at all, whatever kills the program meanwhile. */

import * as fs from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { OnnxHubError } from "../errors.ts";
import { reason } from "./file.ts";
import { renamed } from "./renamed_error.ts";

// Beside the target `model`, a save that is under way owns `.model.<process>-<random>.saving`, where everything is written first, and, for the moment
// in which a directory is exchanged, `.model.<process>-<random>.replaced`, the old one. A killed save leaves them; they are found by these names.
const LEFTOVER = /^\.(.+)\.([0-9]+)-([0-9a-f]{12})\.(saving|replaced)$/;

/** After this a leftover is dead even if a process of its number lives: numbers are used again. */
const STALE_MILLISECONDS = 24 * 60 * 60 * 1000;

/** Saves of this very process that are under way. */
const active = new Set<string>();

interface Leftover {
  readonly path: string;
  readonly id: string;
  readonly kind: "saving" | "replaced";
}

/**
 * Writes a file so that `path` holds the old content or the new one, never a part: to a sibling first, flushed to the disk, then renamed.
 * `content` is the content itself or a function that writes it to the path it is given.
 *
 * Throws "format/write" where the disk refuses or the directory isn't there; what `content` throws goes through, with `path` in place of the sibling.
 * Either way the old file stays.
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string | ((temporary: string) => void | Promise<void>),
): Promise<void> {
  const target = resolveLinks(path);
  checkParent(path, target);
  recover(target);
  await under(path, target, async (temporary) => {
    if (typeof content === "function") await content(temporary);
    else attempt(path, () => fs.writeFileSync(temporary, content));
    attempt(path, () => {
      flush(temporary);
      fs.renameSync(temporary, target);
      flushDirectory(dirname(target));
    });
  });
}

/** How an existing directory is treated by `writeDirectoryAtomic`. Paths are relative, with slashes. */
export interface DirectoryOptions {
  /**
   * Whether a directory with these names in it may be replaced; "format/directory-foreign" where not. An empty directory always may. By default
   * every directory.
   */
  readonly accept?: (names: readonly string[]) => boolean;
  /** Files of the old directory that must not outlive it when they weren't written again. All others are kept. By default none. */
  readonly obsolete?: (path: string) => boolean;
}

/**
 * Writes a directory so that `path` holds the old directory or the new one, never a mixture: `build` fills a sibling, which is flushed to the disk and
 * takes the place of `path` by renaming. Files of the old directory that `build` did not write are kept (hard links, or copies where there are
 * none), save the obsolete ones. Parents are made.
 *
 * A save that is killed leaves the old directory as it was. If it is killed between the two renames of the exchange, nothing is at `path` and the next
 * `recoverDirectory` or save puts the new one there. Leftovers of killed saves are removed by the next save.
 *
 * Throws "format/directory-foreign", "format/not-a-directory", "format/write"; what `build` throws goes through, with `path` in place
 * of the sibling. The old directory stays then.
 */
export async function writeDirectoryAtomic(
  path: string,
  build: (temporary: string) => void | Promise<void>,
  options: DirectoryOptions = {},
): Promise<void> {
  const { accept = () => true, obsolete = () => false } = options;
  const target = resolveLinks(path);
  attempt(path, () => fs.mkdirSync(dirname(target), { recursive: true }));
  recover(target);
  const exists = fs.existsSync(target);
  if (exists) {
    if (!fs.statSync(target).isDirectory()) {
      throw new OnnxHubError("format/not-a-directory", "There is a file where a directory is to be written", { path });
    }
    const names = fs.readdirSync(target);
    if (names.length > 0 && !accept(names)) {
      throw new OnnxHubError("format/directory-foreign", "The directory holds other files", {
        path,
        expected: "an empty directory, or one written by an earlier save",
        found: names.slice(0, 5).join(", ") + (names.length > 5 ? ", …" : ""),
        remedy: "Choose another directory.",
      });
    }
  }
  await under(path, target, async (temporary, replaced) => {
    attempt(path, () => fs.mkdirSync(temporary));
    await build(temporary);
    attempt(path, () => {
      if (exists) keep(target, temporary, "", obsolete);
      flushTree(temporary);
      if (fs.existsSync(target)) {
        fs.renameSync(target, replaced);
        try {
          fs.renameSync(temporary, target);
        } catch (error) {
          fs.renameSync(replaced, target);
          throw error;
        }
      } else fs.renameSync(temporary, target);
      flushDirectory(dirname(target));
    });
  });
}

/**
 * Puts a directory back whose exchange was killed half way: the new one, which was complete by then. Does nothing where there is nothing to do. Call it
 * before reading a directory that a save may have written.
 */
export function recoverDirectory(path: string): void {
  const target = resolveLinks(path);
  if (!fs.existsSync(target)) restore(target, deadLeftovers(target));
}

/** Says that the directory is missing before anything is computed for the file. Where the system doesn't tell, writing will. */
function checkParent(path: string, target: string): void {
  let found = "nothing";
  try {
    if (fs.statSync(dirname(target)).isDirectory()) return;
    found = "a file";
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes(String((error as { code?: unknown }).code))) return;
  }
  throw new OnnxHubError("format/write", "There is no directory to write this file into", {
    path,
    expected: `a directory ${dirname(path)}`,
    found,
    remedy: "Make the directory first.",
  });
}

/** Runs `write` with the names of the siblings, and removes whatever is left of them. Errors name `path`, which the caller knows. */
async function under(path: string, target: string, write: (temporary: string, replaced: string) => Promise<void>): Promise<void> {
  const id = `${process.pid}-${randomHex(6)}`;
  const name = join(dirname(target), `.${basename(target)}.${id}`);
  active.add(id);
  try {
    await write(`${name}.saving`, `${name}.replaced`);
  } catch (error) {
    throw renamed(error, [[`${name}.saving`, path], [`${name}.replaced`, path]]);
  } finally {
    active.delete(id);
    remove(`${name}.saving`);
    if (fs.existsSync(target)) remove(`${name}.replaced`);
  }
}

function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Restores and cleans what killed saves of this target left. */
function recover(target: string): void {
  const leftovers = deadLeftovers(target);
  if (!fs.existsSync(target)) restore(target, leftovers);
  for (const { path } of leftovers) remove(path);
}

function restore(target: string, leftovers: readonly Leftover[]): void {
  const replaced = leftovers.find(({ kind }) => kind === "replaced");
  if (!replaced) return;
  const next = leftovers.find(({ id, kind }) => id === replaced.id && kind === "saving");
  attempt(target, () => fs.renameSync((next ?? replaced).path, target));
}

function deadLeftovers(target: string): Leftover[] {
  const directory = dirname(target);
  let names: string[];
  try {
    names = fs.readdirSync(directory);
  } catch {
    return [];
  }
  const found: Leftover[] = [];
  for (const name of names) {
    const match = LEFTOVER.exec(name);
    if (match?.[1] !== basename(target)) continue;
    const [, , owner, random, kind] = match;
    const id = `${owner}-${random}`;
    const path = join(directory, name);
    if (!isAlive(Number(owner), id, path)) found.push({ path, id, kind: kind as Leftover["kind"] });
  }
  return found;
}

function isAlive(owner: number, id: string, path: string): boolean {
  if (owner === process.pid) return active.has(id);
  try {
    process.kill(owner, 0);
  } catch (error) {
    // Anything but "no such process" (no permission to ask, a process of somebody else) may mean that it lives.
    if ((error as { code?: unknown }).code === "ESRCH") return false;
  }
  try {
    return Date.now() - fs.lstatSync(path).mtimeMs < STALE_MILLISECONDS;
  } catch {
    return false;
  }
}

/** Brings over from the old directory what the new one lacks. */
function keep(from: string, to: string, prefix: string, obsolete: (path: string) => boolean): void {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const path = prefix + entry.name;
    const source = join(from, entry.name);
    const copy = join(to, entry.name);
    const taken = fs.existsSync(copy);
    if (entry.isDirectory()) {
      if (taken && !fs.statSync(copy).isDirectory()) continue;
      if (!taken) fs.mkdirSync(copy);
      keep(source, copy, `${path}/`, obsolete);
      if (!taken && fs.readdirSync(copy).length === 0 && fs.readdirSync(source).length > 0) fs.rmdirSync(copy);
    } else if (!taken && !obsolete(path)) {
      if (entry.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), copy);
      else {
        try {
          fs.linkSync(source, copy);
        } catch {
          fs.copyFileSync(source, copy);
        }
      }
    }
  }
}

function flush(path: string): void {
  let handle: number;
  try {
    handle = fs.openSync(path, "r+");
  } catch {
    handle = fs.openSync(path, "r"); // a kept file that may not be written
  }
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Windows can't open directories; there the rename itself is all there is. */
function flushDirectory(path: string): void {
  if (process.platform === "win32") return;
  const handle = fs.openSync(path, "r");
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

function flushTree(directory: string): void {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) flushTree(path);
    else if (entry.isFile()) flush(path);
  }
  flushDirectory(directory);
}

/** A link is followed, so that what it points to is replaced and the link stays. */
function resolveLinks(path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function remove(path: string): void {
  fs.rmSync(path, { recursive: true, force: true });
}

/** Does something that writes a file; throws "format/write" with what the system says. */
export function attempt(path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (error instanceof OnnxHubError) throw error;
    throw new OnnxHubError("format/write", "Can't be written", { path, found: reason(error), cause: error });
  }
}

/** The Hugging Face Hub's cache on disk, as Python's client lays it out: refs, snapshots, blobs, and what is known to be missing. */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { expandHome, inHome, variable } from "./settings.ts";

/** The directory of all settings and caches: `HF_HOME`. */
export function huggingFaceHome(): string {
  const cache = variable("XDG_CACHE_HOME");
  return expandHome(variable("HF_HOME") ?? (cache ? join(cache, "huggingface") : inHome(".cache", "huggingface")));
}

/** The directory of all repositories: `HF_HUB_CACHE`. */
export function huggingFaceCache(): string {
  return expandHome(variable("HF_HUB_CACHE") ?? variable("HUGGINGFACE_HUB_CACHE") ?? join(huggingFaceHome(), "hub"));
}

/** Whether this is a commit and not a branch or a tag. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** One repository's directory: `models--org--name`. */
export class RepositoryCache {
  /** `folder`: its path. */
  constructor(readonly folder: string) {}

  /** The commit that a branch or tag was at when it was last looked up. */
  commitOf(revision: string): string | undefined {
    const path = join(this.folder, "refs", revision);
    if (!fs.existsSync(path)) return undefined;
    const commit = fs.readFileSync(path, "utf8").trim();
    return isCommit(commit) ? commit : undefined;
  }

  /** Notes the commit that a branch or tag is at. */
  setCommit(revision: string, commit: string): void {
    if (revision === commit || this.commitOf(revision) === commit) return;
    const path = join(this.folder, "refs", revision);
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, commit);
  }

  /** Where a commit's file is, or is to be. */
  pointer(commit: string, name: string): string {
    return join(this.folder, "snapshots", commit, name);
  }

  /** A commit's file, if it is there. */
  find(commit: string, name: string): string | undefined {
    const path = this.pointer(commit, name);
    return fs.existsSync(path) ? path : undefined;
  }

  /** The files of a commit that are there. */
  list(commit: string): string[] {
    const folder = join(this.folder, "snapshots", commit);
    if (!fs.existsSync(folder)) return [];
    return fs.readdirSync(folder, { recursive: true }).map(String).filter((name) => fs.statSync(join(folder, name)).isFile()).sort();
  }

  /** Whether a commit is known not to have a file. */
  lacks(commit: string, name: string): boolean {
    return fs.existsSync(join(this.folder, ".no_exist", commit, name));
  }

  /** Notes that a commit does not have a file. */
  setLacking(commit: string, name: string): void {
    const path = join(this.folder, ".no_exist", commit, name);
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, "");
  }

  /** Where content with an etag is kept. An etag that is no file's name is hashed. */
  blob(etag: string): string {
    return join(
      this.folder,
      "blobs",
      /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(etag) ? etag : createHash("sha256").update(etag).digest("hex"),
    );
  }

  /** Makes a commit's file point to its content: a relative link; a hard link or a copy where links are refused. */
  link(commit: string, name: string, blob: string): string {
    const path = this.pointer(commit, name);
    fs.mkdirSync(dirname(path), { recursive: true });
    const ways = [
      () => fs.symlinkSync(relative(dirname(path), blob), path),
      () => fs.linkSync(blob, path),
    ];
    for (const way of ways) {
      // Another process may have made it meanwhile.
      if (fs.existsSync(path)) return path;
      try {
        way();
        return path;
      } catch {
        continue;
      }
    }
    if (fs.existsSync(path)) return path;
    const copy = `${path}.${process.pid}.incomplete`;
    fs.copyFileSync(blob, copy);
    fs.renameSync(copy, path);
    return path;
  }
}

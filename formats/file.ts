/** A file opened for reading at any position, with its length known and every read bounded by it. */

import * as fs from "node:fs";
import { OnnxHubError } from "../errors.ts";

/** An open file. Reads are synchronous: each is one bounded `pread`. */
export interface FileReader {
  readonly path: string;
  /** Length in bytes when it was opened. */
  readonly size: number;
  /** Fills all of `into` from `position` on; throws "format/truncated" where the file ends earlier. */
  read(into: Uint8Array, position: number): void;
  /** The bytes [position, position + length); checked against the file's length before anything is allocated. */
  bytes(position: number, length: number, what: string): Uint8Array<ArrayBuffer>;
  close(): void;
}

/** Opens a file for reading. Throws "format/missing-file", "format/not-a-file" or "format/unreadable". */
export function openFile(path: string): FileReader {
  let handle: number;
  let size: number;
  try {
    handle = fs.openSync(path, "r");
  } catch (error) {
    throw cannotOpen(path, error);
  }
  try {
    const status = fs.fstatSync(handle);
    if (!status.isFile()) throw notAFile(path, status.isDirectory() ? "a directory" : "something else");
    size = status.size;
  } catch (error) {
    fs.closeSync(handle);
    throw error;
  }
  let open = true;
  const read = (into: Uint8Array, position: number): void => {
    if (!open) throw new OnnxHubError("format/closed", "The file is closed", { path, remedy: "Read before close()." });
    for (let done = 0; done < into.length;) {
      let count: number;
      try {
        count = fs.readSync(handle, into, done, into.length - done, position + done);
      } catch (error) {
        throw new OnnxHubError("format/unreadable", "The file can't be read", { path, found: reason(error), cause: error });
      }
      if (count === 0) throw truncated(path, `byte ${position + into.length}`, position + done);
      done += count;
    }
  };
  return {
    path,
    size,
    read,
    bytes(position: number, length: number, what: string): Uint8Array<ArrayBuffer> {
      if (!(position >= 0 && length >= 0 && position + length <= size)) {
        throw truncated(path, `${what} at bytes ${position} to ${position + length}`, size);
      }
      const block = new Uint8Array(length);
      read(block, position);
      return block;
    },
    close(): void {
      if (open) fs.closeSync(handle);
      open = false;
    },
  };
}

function cannotOpen(path: string, error: unknown): OnnxHubError {
  const code = (error as { code?: unknown }).code;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new OnnxHubError("format/missing-file", "No such file", { path, cause: error });
  }
  if (code === "EISDIR") return notAFile(path, "a directory");
  return new OnnxHubError("format/unreadable", "The file can't be opened", { path, found: reason(error), cause: error });
}

function notAFile(path: string, found: string): OnnxHubError {
  return new OnnxHubError("format/not-a-file", "Not a file", { path, expected: "a file", found });
}

function truncated(path: string, expected: string, size: number): OnnxHubError {
  return new OnnxHubError("format/truncated", "The file ends too early", {
    path,
    expected,
    found: `${size} bytes`,
    remedy: "Download or save it again.",
  });
}

/** What an error of the system says. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

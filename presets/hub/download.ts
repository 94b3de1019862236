/** Fetches one file: resumed, checked, and put in its place whole or not at all. */

import * as fs from "node:fs";
import { basename, dirname } from "node:path";
import process from "node:process";
import { OnnxHubError } from "../../errors.ts";
import { type Digest, type ExpectedDigest, startDigest } from "./digest.ts";
import { statusFailure } from "./failures.ts";
import { type Answer, type Ask, failure, isPassing, type Outcome, passing, persist, reasonOf, send } from "./http.ts";
import { locked } from "./lock.ts";
import { ProgressBar } from "./progress.ts";
import type { HubSettings } from "./settings.ts";

/** A file to fetch. */
export interface Download {
  /** The request for the whole file; parts are asked for with a `Range`. */
  readonly request: Ask;
  /** As the progress bar calls it; without it there is none. */
  readonly label?: string;
  /** Where the file goes. */
  readonly target: string;
  /** Whether it is there already, asked once the lock is held; by default whether anything is. */
  isThere?(): boolean;
  /** Called once it is there, while the lock is still held. */
  placed?(): void;
  /** What has come so far. Other processes go on where this one was stopped. */
  readonly incomplete: string;
  /** The length, if it is known before. */
  readonly size?: number;
  /** The digest, if it is known before. */
  readonly digest?: ExpectedDigest;
  /** The digest that an answer names. */
  digestOf?(answer: Answer): ExpectedDigest | undefined;
  /** What an answer that is none of 200, 206, 416 and passes not with time means: an error, or null for a file that the hub does not have. */
  refused?(answer: Answer): Promise<OnnxHubError | null>;
  /** Makes the file out of what came, checked already; gives its path. By default that is the file. */
  unpack?(incomplete: string, answer: Answer | undefined): string | Promise<string>;
}

/**
 * Fetches a file to its place; false where the hub has none.
 *
 * A cut connection, silence, and the statuses 408, 429 and 5xx are met with up to four more tries in a row; each goes on where the last one ended. What came is
 * measured and hashed, flushed and renamed. Several processes at once fetch it once.
 *
 * Throws "preset/connection", "preset/stalled", "preset/rate-limited", "preset/unavailable", "preset/http", "preset/redirect", "preset/size",
 * "preset/hash", and what the disk refuses.
 */
export async function download(settings: HubSettings, file: Download): Promise<boolean> {
  fs.mkdirSync(dirname(file.target), { recursive: true });
  fs.mkdirSync(dirname(file.incomplete), { recursive: true });
  return await locked(`${file.incomplete}.lock`, async () => {
    if (file.isThere?.() ?? fs.existsSync(file.target)) return true;
    const bar = file.label === undefined ? undefined : new ProgressBar(settings.console, file.label);
    let whole = false;
    const transfer = new Transfer(file, bar);
    try {
      whole = await persist(settings, () => transfer.attempt(), () => transfer.reached);
    } finally {
      bar?.end(lengthOf(file.incomplete), whole);
    }
    if (!whole) return false;
    const path = await file.unpack?.(file.incomplete, transfer.last) ?? file.incomplete;
    flush(path);
    place(path, file.target);
    if (path !== file.incomplete) fs.rmSync(file.incomplete, { force: true });
    file.placed?.();
    return true;
  });
}

/** The tries for one file. */
class Transfer {
  /** How far the farthest try came; one that begins anew gains nothing until it is past that. */
  reached = 0;
  /** The last answer with content. */
  last: Answer | undefined;
  #restarted = false;

  constructor(readonly file: Download, readonly bar: ProgressBar | undefined) {}

  /** One try; done with true for a whole file, with false for one that isn't there. */
  async attempt(): Promise<Outcome<boolean>> {
    const { file } = this;
    const { name } = file.request;
    let have = lengthOf(file.incomplete);
    if (file.size !== undefined && have > file.size) have = truncate(file.incomplete);
    if (have > 0 && have === file.size) return this.#check(file.digest, have, true);
    let answer: Answer;
    try {
      answer = await send(have > 0 ? { ...file.request, headers: { ...file.request.headers, range: `bytes=${have}-` } } : file.request);
    } catch (error) {
      return failure(error);
    }
    try {
      if (isPassing(answer.status)) return await passing(name, answer);
      const range = rangeOf(answer);
      const digest = file.digest ?? file.digestOf?.(answer);
      if (answer.status === 416 && have > 0) {
        this.last = answer;
        if (range.total === have) return this.#check(digest, have, true);
        truncate(file.incomplete);
        return again(this.#mismatch(`${have} bytes at least`, `${range.total ?? "fewer"}`), !this.#restart());
      }
      if (answer.status !== 200 && answer.status !== 206) {
        const refused = await file.refused?.(answer) ?? (file.refused ? null : await generalRefusal(name, answer));
        return refused === null ? { done: false } : again(refused, true);
      }
      if (answer.status === 206 && range.from !== have) {
        truncate(file.incomplete);
        return again(this.#mismatch(`the part from byte ${have} on`, `one from byte ${range.from ?? "?"} on`), !this.#restart());
      }
      const resumed = answer.status === 206 ? have : 0;
      const total = answer.status === 206 ? range.total : contentLength(answer);
      if (file.size !== undefined && total !== undefined && total !== file.size) {
        return again(this.#mismatch(`${file.size} bytes`, `${total}`), true);
      }
      this.last = answer;
      return await this.#receive(answer, resumed, file.size ?? total, digest);
    } catch (error) {
      return failure(error);
    } finally {
      answer.close();
    }
  }

  /** Takes a body into the file from `start` on. */
  async #receive(
    answer: Answer,
    start: number,
    total: number | undefined,
    expected: ExpectedDigest | undefined,
  ): Promise<Outcome<boolean>> {
    const { file, bar } = this;
    // Git's hash starts with the length; where that isn't known the file is hashed afterwards.
    const digest = expected && (expected.kind !== "git" || total !== undefined) ? startDigest(expected, total ?? 0) : undefined;
    const handle = fs.openSync(file.incomplete, start > 0 ? "r+" : "w");
    let position = start;
    try {
      if (digest) hashFile(handle, start, digest);
      for await (const chunk of answer.chunks()) {
        if (total !== undefined && position + chunk.length > total) {
          return again(this.#mismatch(`${total} bytes`, "more"), true, () => fs.ftruncateSync(handle, 0));
        }
        for (let done = 0; done < chunk.length;) done += fs.writeSync(handle, chunk, done, chunk.length - done, position + done);
        digest?.update(chunk);
        position += chunk.length;
        this.reached = Math.max(this.reached, position);
        bar?.update(position, total);
      }
    } finally {
      fs.closeSync(handle);
    }
    if (total !== undefined && position < total) {
      const cut = new OnnxHubError("preset/connection", "The file ended before its end", {
        path: file.request.name,
        expected: `${total} bytes`,
        found: `${position}`,
        remedy: "Try again; what was received is kept.",
      });
      return again(cut, false);
    }
    return this.#check(expected, position, start > 0, digest);
  }

  /** Compares the digest; a part of another day that spoils the whole is thrown away once. */
  #check(expected: ExpectedDigest | undefined, size: number, resumed: boolean, digest?: Digest): Outcome<boolean> {
    if (!expected) return { done: true };
    const { file } = this;
    let found: string[];
    if (digest) found = digest.finish();
    else {
      const whole = startDigest(expected, size);
      const handle = fs.openSync(file.incomplete, "r");
      try {
        hashFile(handle, size, whole);
      } finally {
        fs.closeSync(handle);
      }
      found = whole.finish();
    }
    if (found.includes(expected.hex)) return { done: true };
    truncate(file.incomplete);
    const wrong = new OnnxHubError("preset/hash", "What was downloaded is not what the hub announced", {
      path: file.request.name,
      expected: `${expected.kind === "git" ? "git" : expected.kind} ${expected.hex}`,
      found: found[0],
      remedy: "Try again; if it stays so, the hub or something on the way to it is broken.",
    });
    return again(wrong, !(resumed && this.#restart()));
  }

  /** Whether the file may be begun again: once. */
  #restart(): boolean {
    if (this.#restarted) return false;
    return this.#restarted = true;
  }

  #mismatch(expected: string, found: string): OnnxHubError {
    return new OnnxHubError("preset/size", "The file has another length than the hub announced", {
      path: this.file.request.name,
      expected,
      found,
    });
  }
}

function again(failed: OnnxHubError, final: boolean, before?: () => void): Outcome<never> {
  before?.();
  return { failed, retry: !final };
}

async function generalRefusal(name: string, answer: Answer): Promise<OnnxHubError> {
  return statusFailure(name, answer.url, answer.status, await reasonOf(answer));
}

/** `Content-Range: bytes 5-9/10`, `bytes *\/10`. */
function rangeOf({ headers }: Answer): { from?: number; total?: number } {
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  const number = (text: string | undefined) => text === undefined || text === "*" ? undefined : Number(text);
  return { from: number(match?.[1]), total: number(match?.[2]) };
}

/** The body's length, unless it comes encoded. */
function contentLength({ headers }: Answer): number | undefined {
  const length = headers.get("content-length");
  if (length === null || (headers.get("content-encoding") ?? "identity") !== "identity") return undefined;
  return Number(length);
}

function lengthOf(path: string): number {
  return fs.existsSync(path) ? fs.statSync(path).size : 0;
}

function truncate(path: string): 0 {
  fs.truncateSync(path, 0);
  return 0;
}

function hashFile(handle: number, length: number, digest: Digest): void {
  const block = new Uint8Array(Math.min(length, 1 << 20));
  for (let position = 0; position < length;) {
    const count = fs.readSync(handle, block, 0, Math.min(block.length, length - position), position);
    if (count === 0) break;
    digest.update(block.subarray(0, count));
    position += count;
  }
}

function flush(path: string): void {
  const handle = fs.openSync(path, "r+");
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Renames into place, and flushes the directory so that the name outlives a crash. */
function place(from: string, target: string): void {
  try {
    fs.renameSync(from, target);
  } catch (error) {
    // Another process that took the lock over was quicker.
    if ((error as { code?: unknown }).code !== "ENOENT" || !fs.existsSync(target)) throw error;
  }
  if (process.platform === "win32") return;
  const handle = fs.openSync(dirname(target), "r");
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** The name of what has come of a file so far, beside it. */
export function incompleteName(target: string): string {
  return `${dirname(target)}/${basename(target)}.onnxhub.incomplete`;
}

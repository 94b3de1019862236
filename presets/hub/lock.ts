/** A lock file, so that of several processes that want one file only one fetches it. */

import { randomBytes } from "node:crypto";
import * as fs from "node:fs";

const BEAT_MILLISECONDS = 500;
/** A lock that was not touched for so long is a dead process's. */
const DEAD_MILLISECONDS = 3000;
const LOOK_MILLISECONDS = 50;

/**
 * Runs `body` while holding the lock at `path`. The holder touches the file all the time; who waits watches it, and takes it over once it stays
 * still. No clock or process number of another machine is relied on. Where two should hold it all the same (a process that slept), both
 * write the same bytes to the same places and each checks them, so that nothing but time is lost.
 */
export async function locked<T>(path: string, body: () => Promise<T>): Promise<T> {
  const token = randomBytes(8).toString("hex");
  await acquire(path, token);
  const beat = setInterval(() => touch(path), BEAT_MILLISECONDS);
  try {
    return await body();
  } finally {
    clearInterval(beat);
    if (contentOf(path)?.startsWith(token)) fs.rmSync(path, { force: true });
  }
}

async function acquire(path: string, token: string): Promise<void> {
  let seen = "";
  let since = performance.now();
  for (;;) {
    try {
      fs.writeFileSync(path, token, { flag: "wx" });
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    }
    const now = contentOf(path);
    if (now !== seen) {
      seen = now ?? "";
      since = performance.now();
    } else if (performance.now() - since > DEAD_MILLISECONDS) {
      // Renaming takes it from one only, whoever else is about to do the same.
      const taken = `${path}.${token}`;
      try {
        fs.renameSync(path, taken);
        fs.rmSync(taken, { force: true });
      } catch (error) {
        if ((error as { code?: unknown }).code !== "ENOENT") throw error;
      }
      seen = "";
      continue;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

/** What tells one state of the lock from another: whose it is, and when it was touched. */
function contentOf(path: string): string | undefined {
  try {
    return `${fs.readFileSync(path, "utf8")} ${fs.statSync(path).mtimeMs}`;
  } catch {
    return undefined;
  }
}

function touch(path: string): void {
  try {
    const now = new Date();
    fs.utimesSync(path, now, now);
  } catch {
    // Taken over, or the disk is gone; the download itself will notice.
  }
}

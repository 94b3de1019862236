/** The Chromium that the tests of pages drive: finds it, and installs Debian's where that can be done. */

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

/** Its names in the search path, Debian's first. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/** What to do where there is none. */
export const HOW_TO_GET = "Install it (Debian: `apt-get install chromium`), or set CHROMIUM to its path.";

/** Its path: `CHROMIUM`, else from the search path; undefined where there is none. */
export function findChromium(): string | undefined {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of NAMES) {
    const path = inSearchPath(name);
    if (path) return path;
  }
}

function inSearchPath(name: string): string | undefined {
  return (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs Debian's package where there is no Chromium, as root only: nobody else may. Says so, and what to do where it can't. */
export function ensureChromium(): void {
  if (findChromium()) return;
  const aptGet = inSearchPath("apt-get");
  if (!aptGet || process.getuid?.() !== 0) return console.log(`There is no Chromium, which the tests of pages need. ${HOW_TO_GET}`);
  console.log("Installing Chromium, which the tests of pages need");
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", "chromium"]]) {
    const { status, stderr } = spawnSync(aptGet, ["-qq", ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "ignore", "pipe"],
      encoding: "utf8",
    });
    if (status !== 0) return console.log(`apt-get ${args.join(" ")} failed: ${stderr.trim()}`);
  }
}

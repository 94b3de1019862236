/** Installs onnxruntime-node as a user would, once, in a project of its own: the library must not depend on it. */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The directory of a project that has onnxruntime-node. */
export const PROJECT = fileURLToPath(new URL("../../.native/", import.meta.url));

const PACKAGE = { private: true, dependencies: { "onnxruntime-node": "1.30.0" } };

/**
 * Installs it unless it is there: elsewhere first, since the tests of another runtime may be doing the same. The package's own script, which downloads
 * libraries for GPUs, does not run.
 */
export async function installNative(): Promise<void> {
  const installed = `${PROJECT}node_modules/onnxruntime-node/package.json`;
  if (existsSync(installed)) return;
  mkdirSync(PROJECT, { recursive: true });
  const folder = mkdtempSync(`${PROJECT}install-`);
  for (const place of [PROJECT, `${folder}/`]) writeFileSync(`${place}package.json`, JSON.stringify(PACKAGE));
  try {
    await execute("npm", [
      "install",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--no-package-lock",
    ], folder);
    renameSync(`${folder}/node_modules`, `${PROJECT}node_modules`);
  } catch (error) {
    if (!existsSync(installed)) throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a command in that project; gives what it prints, rejects with all of it where it fails. */
export function execute(
  command: string,
  args: readonly string[],
  cwd: string = PROJECT,
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, {
      cwd,
      env: { ...process.env, NO_COLOR: "1" },
      maxBuffer: 2 ** 26,
    }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
      else resolve(stdout);
    });
  });
}

/** Runs a TypeScript file in that project, on the runtime that the tests run on. */
export function runThere(
  file: string,
  ...args: readonly string[]
): Promise<string> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const program = fileURLToPath(new URL(file, import.meta.url));
  const flags = "Bun" in globalThis ? [] : ["run", "-A", "--no-check", "--config", `${root}deno.json`];
  return execute(process.execPath, [...flags, program, ...args]);
}

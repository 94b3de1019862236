/** A program that starts a save, says so, and never ends it: its parent kills it. `atomic_child.ts directory|file PATH`. */

import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { writeDirectoryAtomic, writeFileAtomic } from "../../formats/atomic.ts";

const [kind, path] = process.argv.slice(2);

/** Written half, announced, then waiting for the end. */
async function hang(file: string): Promise<void> {
  fs.writeFileSync(file, "half");
  process.stdout.write("writing\n");
  await new Promise((resolve) => setTimeout(resolve, 3_600_000));
}

if (kind === "file") await writeFileAtomic(path, hang);
else await writeDirectoryAtomic(path, (temporary) => hang(join(temporary, "weights")));

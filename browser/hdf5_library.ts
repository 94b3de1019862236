/** h5wasm in a page: it writes into files of its own, which are handed over when they are closed. Stands for h5wasm/node. */

import { ready as loading } from "h5wasm";
import { writeFileSync } from "./node/fs.ts";
import { dirname, resolve } from "./node/path.ts";

/** What of h5wasm's module is used here. */
interface Library {
  readonly FS: {
    mkdirTree(path: string): void;
    readFile(path: string): Uint8Array;
    unlink(path: string): void;
  };
  open(path: string, ...rest: unknown[]): bigint;
  close_file(file: bigint): number;
}

/** The module, once it is loaded; 4 MB, so only when something is saved in this format. */
export const ready: Promise<Library> = loading.then((module) => {
  const library = module as unknown as Library;
  const { open, close_file } = library;
  const paths = new Map<bigint, string>();
  library.open = (path, ...rest) => {
    const own = resolve(path);
    library.FS.mkdirTree(dirname(own));
    const file = open(own, ...rest);
    paths.set(file, own);
    return file;
  };
  library.close_file = (file) => {
    const status = close_file(file);
    const path = paths.get(file);
    if (path !== undefined && paths.delete(file)) {
      writeFileSync(path, library.FS.readFile(path));
      library.FS.unlink(path);
    }
    return status;
  };
  return library;
});

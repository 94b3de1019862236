/** node:process in a page, as far as the library uses it: no environment, and no other process. */

import { systemError } from "../memory_files.ts";

const process = {
  pid: 1,
  platform: "browser",
  env: {} as Readonly<Record<string, string | undefined>>,
  cwd: (): string => "/",
  kill(pid: number, _signal: number): void {
    throw systemError("ESRCH", "no such process", "kill", String(pid));
  },
};

export default process;

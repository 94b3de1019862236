/** Where training prints to in a page: the console, line by line. Stands for training/console.ts. */

import type { Console } from "../training/console.ts";

/** What sets colours and weights in a terminal. */
// deno-lint-ignore no-control-regex -- they are what is looked for
const STYLES = /\u001b\[[0-9;]*m/g;

let line = "";

/** The page's console, which can't overwrite a line. */
export const processConsole: Console = {
  write(text) {
    const lines = (line + text.replace(STYLES, "")).split("\n");
    line = lines.pop()!;
    for (const whole of lines) console.log(whole);
  },
  warn: (text) => console.warn(text),
  clock: () => (performance.timeOrigin + performance.now()) / 1000,
  dynamic: false,
};

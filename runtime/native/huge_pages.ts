/** Asks the system for memory in pages of 2 MiB: fresh memory in pages of 4 KiB takes longer to be cleared than to be written. */

import process from "node:process";
import type { ForeignFunctions } from "./foreign_functions.ts";

/** Bytes from which on it pays. */
const LEAST = 2 ** 23;

/** Bytes of a page as the system hands it out by default, or a multiple of it. */
const PAGE = 2 ** 16;

/** `MADV_HUGEPAGE` of Linux' `madvise(2)`. */
const HUGE_PAGES = 14;

/** Asks for huge pages under a fresh array, where it is large. Advice: the system need not follow it. */
export type AdviseHugePages = (array: ArrayBufferView) => void;

/** On Linux by its C library; elsewhere, and where that can't be called, nothing. */
export function hugePages(foreign: ForeignFunctions, platform: string = process.platform): AdviseHugePages {
  if (platform !== "linux") return () => {};
  try {
    const advise = foreign.named("libc.so.6", "madvise", { takes: ["address", "size", "int"], gives: "int" });
    return ({ buffer, byteOffset, byteLength }) => {
      if (byteLength < LEAST) return;
      const address = foreign.addressOf(buffer) + byteOffset;
      // Whole pages alone may be asked for.
      const start = Math.ceil(address / PAGE) * PAGE;
      advise(start, Math.floor((address + byteLength - start) / PAGE) * PAGE, HUGE_PAGES);
    };
  } catch {
    return () => {};
  }
}

/** Keeps the heap of onnxruntime-web from growing while its threads run, which Deno's V8 does not survive. */

/** Bytes of a page. */
const PAGE = 65536;

/** The most pages of 64 KiB that a 32-bit memory can have: what onnxruntime-web asks for as its maximum. */
const MAXIMUM = 65536;

/** Sizes to try, in pages: nearly the 4 GiB of 32-bit memory (all of it is 0 in 32 bits), less where the machine doesn't promise it. */
const SIZES = [65472, 49152, 32768, 16384, 8192];

/**
 * Runs `body`, during which onnxruntime-web makes its shared memory, so that the memory has its greatest size from the start.
 *
 * When one thread grows a shared memory, V8 tells the others by an interrupt. Where it checks bounds against a size that each instance
 * keeps (as in Deno, which does not install V8's trap handler), a thread that touches the new pages before it sees the interrupt traps
 * with "memory access out of bounds"; the worker dies, and onnxruntime's main thread waits for it forever. The busier the machine, the
 * likelier. A memory that never grows can't do that. Pages cost nothing until they are written to. Compare
 * https://github.com/emscripten-core/emscripten/issues/21574.
 */
export async function withFixedMemory<T>(body: () => Promise<T>): Promise<T> {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct: (_, [descriptor]: [WebAssembly.MemoryDescriptor]) =>
      descriptor.shared && descriptor.maximum === MAXIMUM ? greatest(Memory, descriptor) : new Memory(descriptor),
  });
  try {
    return await body();
  } finally {
    WebAssembly.Memory = Memory;
  }
}

/** Whether a memory has its greatest size: it will not grow. */
export function isGreatest({ buffer }: WebAssembly.Memory): boolean {
  return buffer.byteLength === SIZES[0] * PAGE;
}

/** The greatest memory that the machine promises. */
function greatest(Memory: typeof WebAssembly.Memory, descriptor: WebAssembly.MemoryDescriptor): WebAssembly.Memory {
  for (const initial of SIZES) {
    if (initial <= descriptor.initial) break;
    try {
      return new Memory({ ...descriptor, initial });
    } catch {
      // Too much to ask for here; the next size is less.
    }
  }
  return new Memory(descriptor);
}

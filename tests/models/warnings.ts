/** What code says with `console.warn`. */

/** What `body` says. */
export async function warningsOf(body: () => Promise<unknown>): Promise<string[]> {
  const said: string[] = [];
  const { warn } = console;
  console.warn = (...parts: unknown[]) => void said.push(parts.join(" "));
  try {
    await body();
  } finally {
    console.warn = warn;
  }
  return said;
}

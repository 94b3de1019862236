/** How consoles show models and tokenizers: a line in place of everything inside. */

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** Lets `console.log` show instances of a class by a line; Deno, Bun and Node ask for it in the same way. */
export function showAs<T>(type: { readonly prototype: T }, line: (instance: T) => string): void {
  Object.defineProperty(type.prototype, INSPECT, {
    value(this: T) {
      return line(this);
    },
  });
}

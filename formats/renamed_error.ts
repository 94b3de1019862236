/** Errors that speak of a temporary file, told of the file that it is to become. */

import { OnnxHubError } from "../errors.ts";

/** The error with other names in its texts; itself where it has none of them or is no `OnnxHubError`. The cause stays what the system said. */
export function renamed(error: unknown, names: readonly (readonly [from: string, to: string])[]): unknown {
  if (!(error instanceof OnnxHubError)) return error;
  const { code, what, path, expected, found, remedy, cause } = error;
  const has = (text?: string): boolean => text !== undefined && names.some(([from]) => text.includes(from));
  if (![what, path, expected, found, remedy].some(has)) return error;
  const told = (text: string): string => names.reduce((rest, [from, to]) => rest.replaceAll(from, () => to), text);
  const [toldPath, toldExpected, toldFound, toldRemedy] = [path, expected, found, remedy].map((text) => text && told(text));
  return new OnnxHubError(code, told(what), { path: toldPath, expected: toldExpected, found: toldFound, remedy: toldRemedy, cause });
}

/** The programs compiled last, by what they depend on: models of the same spec share them. */

import { compile, type Compiled, type CompileRequest } from "../codegen/compile.ts";
import { programKey } from "../codegen/program_key.ts";
import type { ExpandedSpec } from "../spec/types.ts";

/** How many programs are kept; each takes as much as its graphs, which have no weights in them: 0.01 to 1 MB. */
const LIMIT = 16;

/** A program with what it was compiled from. Its key is made when there is another that it could be mistaken for. */
class Entry {
  #key: string | undefined;

  constructor(readonly spec: ExpandedSpec, readonly request: CompileRequest, public compiled: Compiled | null = null) {}

  get key(): string {
    return this.#key ??= programKey(this.spec, this.request);
  }

  equals(other: Entry): boolean {
    return this.spec.name === other.spec.name && this.request.mode === other.request.mode && this.key === other.key;
  }
}

/** The one used last comes last. */
const entries: Entry[] = [];

/**
 * The program of a spec and a request, compiled where it isn't among the last sixteen. On disk none is kept: to find it there, by the hash of the spec, takes
 * a third of the time that compiling takes.
 *
 * Throws as {@linkcode compile} does.
 */
export function cachedCompile(spec: ExpandedSpec, request: CompileRequest): Compiled {
  const wanted = new Entry(spec, request);
  const at = entries.findIndex((entry) => entry.equals(wanted));
  const entry = at < 0 ? wanted : entries.splice(at, 1)[0];
  entry.compiled ??= compile(spec, request);
  entries.push(entry);
  if (entries.length > LIMIT) entries.shift();
  return entry.compiled;
}

/** The names of values in a list of layers, and what each stands for. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { type Place, where } from "../expressions.ts";

/** What is in scope while a list of layers is expanded. */
export class Values {
  /** Name or alias → the name in the expanded list. */
  readonly #names = new Map<string, string>();
  /** Nodes with several outputs. */
  readonly #outputs = new Map<string, readonly string[]>();
  readonly #taken = new Set<string>();
  #previous: string | null = null;

  /** Values that are there from the start; the first one is "previous" if `flows`. */
  constructor(inputs: readonly string[], { flows }: { flows: string | null }) {
    for (const name of inputs) {
      this.#names.set(name, name);
      this.#taken.add(name);
    }
    this.#previous = flows;
  }

  /** Adds a node's value, or its outputs; throws "spec/duplicate-name". */
  add(name: string, outputs: readonly string[] | null, alias: string | undefined, place: Place): void {
    if (this.#taken.has(name)) {
      throw new OnnxHubError("spec/duplicate-name", `The name \`${name}\` is taken`, {
        path: where(place),
        expected: "a name that nothing else in the same list has, inputs included",
        remedy: "Rename one of the two; to share weights, give both the same `weights`.",
      });
    }
    this.#taken.add(name);
    if (outputs && outputs.length !== 1) this.#outputs.set(name, outputs);
    this.#names.set(name, name);
    if (alias !== undefined) this.#names.set(alias, name);
    this.#previous = outputs && outputs.length !== 1 ? `${name}.${outputs[0]}` : name;
  }

  /** Another name for a value, which becomes the previous one. */
  alias(alias: string, reference: string, place: Place): void {
    const value = this.resolve(reference, place);
    this.#names.set(alias, value);
    this.#previous = value;
  }

  /** Whether a name is taken. */
  has(name: string): boolean {
    return this.#taken.has(name);
  }

  /** The value under that name or alias, if there is one. */
  find(name: string): string | undefined {
    const whole = this.#names.get(name);
    return whole !== undefined && this.#outputs.has(whole) ? undefined : whole;
  }

  /** The entry before; throws "spec/unknown-value" where there is none. */
  previous(place: Place): string {
    if (this.#previous !== null) return this.#previous;
    throw new OnnxHubError("spec/unknown-value", "There is no previous value at the beginning of this list", {
      path: where(place),
      remedy: `Say which with \`in\`: one of ${[...this.#names.keys()].join(", ")}.`,
    });
  }

  /** What a reference stands for; throws "spec/unknown-value". */
  resolve(reference: string, place: Place): string {
    if (reference === "previous") return this.previous(place);
    const [base, output] = reference.split(".", 2);
    const name = this.#names.get(base);
    if (name === undefined) throw this.#unknown(reference, [...this.#names.keys()], place);
    const outputs = this.#outputs.get(name);
    if (!outputs) {
      if (output === undefined) return name;
      throw this.#unknown(reference, [name], place);
    }
    if (output !== undefined && outputs.includes(output)) return `${name}.${output}`;
    throw this.#unknown(reference, outputs.map((each) => `${base}.${each}`), place);
  }

  #unknown(reference: string, candidates: readonly string[], place: Place): OnnxHubError {
    const guess = nearest(reference, candidates);
    return new OnnxHubError("spec/unknown-value", `No value is called \`${reference}\` here`, {
      path: where(place),
      expected: `one of ${candidates.join(", ")}`,
      remedy: guess ? `Did you mean \`${guess}\`?` : "A value can be used after the entry that makes it.",
    });
  }
}

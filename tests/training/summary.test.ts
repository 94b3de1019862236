/** Whether summaries are Keras' text. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { readable, summary, type SummaryRow } from "../../training/summary.ts";
import { failure } from "./run.ts";

interface Case {
  readonly case: string;
  readonly options: { readonly line_length?: number; readonly positions?: readonly number[]; readonly show_trainable?: boolean };
  readonly model: {
    readonly name: string;
    readonly rows: readonly {
      readonly name: string;
      readonly type: string;
      readonly shapes: readonly (readonly (number | null)[])[] | null;
      readonly params: number;
      readonly connectedTo: readonly [string, number, number][];
      readonly weighted: boolean;
      readonly trainable: boolean;
    }[];
    readonly trainable: number;
    readonly nonTrainable: number;
    readonly optimizer: number | null;
    readonly optimizerBytes: number | null;
    readonly preprocessor:
      | { readonly name: string; readonly layers: readonly { name: string; type: string; vocabularySize: number }[] }
      | null;
  };
  readonly outputs: readonly string[];
}

const cases: readonly Case[] = JSON.parse(readFileSync(new URL("../fixtures/keras_summaries.json", import.meta.url), "utf8"));

describe("the summary", () => {
  for (const { case: name, options, model, outputs } of cases) {
    it(`is Keras' text: ${name}`, () => {
      const expected = outputs.map((text) => text.replace(/\n$/, "")).join("\n");
      const connected = expected.includes("Connected");
      // Keras drops the rows of inputs where a model is a plain sequence.
      const rows = model.rows.filter(({ type }) => connected || type !== "InputLayer").map((row): SummaryRow => ({
        name: row.name,
        type: row.type,
        outputShapes: row.shapes ?? [],
        params: row.params,
        connectedTo: connected ? row.connectedTo : undefined,
        trainable: row.weighted ? row.trainable : null,
      }));
      const text = summary(
        {
          name: model.name,
          rows,
          trainable: { params: model.trainable },
          nonTrainable: { params: model.nonTrainable },
          optimizer: model.optimizer === null ? null : { params: model.optimizer, bytes: model.optimizerBytes! },
          preprocessor: model.preprocessor,
        },
        { lineLength: options.line_length, positions: options.positions, showTrainable: options.show_trainable },
      );
      assert.equal(text, expected);
    });
  }

  it("says sizes in readable units", () => {
    assert.deepEqual([0, 1023, 1024, 178816, 1.5 * 1024 ** 3, 3 * 1024 ** 6].map(readable), [
      "0.00 B",
      "1023.00 B",
      "1.00 KB",
      "174.62 KB",
      "1.50 GB",
      "3072.00 PB",
    ]);
  });

  it("needs room for its columns", () => {
    const model = { name: "m", rows: [], trainable: { params: 0 }, nonTrainable: { params: 0 } };
    assert.throws(() => summary(model, { lineLength: 10 }), failure("training/option", /Insufficient width/));
    assert.throws(() => summary(model, { positions: [0.5, 1] }), failure("training/option", /one position a column/));
  });
});

/** Whether the progress bar prints Keras' bytes, and numbers print as Python prints them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { ProgressBar } from "../../training/progress_bar.ts";
import { exponential, fixed, floatRepr, formatField, integer, thousands } from "../../training/python_format.ts";

interface Case {
  readonly name: string;
  readonly options: {
    readonly target: number | null;
    readonly width?: number;
    readonly verbose?: 0 | 1 | 2;
    readonly interval?: number;
    readonly stateful_metrics?: readonly string[];
    readonly stateless_metrics?: readonly string[];
    readonly unit_name?: string;
  };
  readonly start: number;
  readonly dynamic: boolean;
  readonly calls: readonly {
    readonly time: number;
    readonly current: number;
    readonly values?: readonly (readonly [string, number | string])[];
    readonly finalize?: boolean;
  }[];
  readonly output: string;
}

const cases: readonly Case[] = JSON.parse(readFileSync(new URL("../fixtures/keras_progress_bar.json", import.meta.url), "utf8"));

describe("the progress bar", () => {
  for (const { name, options, start, dynamic, calls, output } of cases) {
    it(`prints Keras' bytes: ${name}`, () => {
      let now = start;
      let printed = "";
      const bar = new ProgressBar({
        target: options.target,
        width: options.width,
        verbose: options.verbose,
        interval: options.interval,
        statefulMetrics: options.stateful_metrics,
        statelessMetrics: options.stateless_metrics,
        unitName: options.unit_name,
        console: { write: (text) => void (printed += text), warn: assert.fail, clock: () => now, dynamic },
      });
      for (const { time, current, values = [], finalize } of calls) {
        now = time;
        bar.update(current, values.map(([metric, value]) => [metric, Number(value)]), finalize);
      }
      assert.equal(printed, output);
    });
  }

  it("adds steps", () => {
    let printed = "";
    const bar = new ProgressBar({
      target: 4,
      verbose: 2,
      statelessMetrics: [],
      console: { write: (text) => void (printed += text), warn: assert.fail, clock: () => 0, dynamic: true },
    });
    bar.add(3, [["loss", 1]]);
    assert.equal(printed, "");
    bar.add(1, [["loss", 2]]);
    assert.equal(printed, "4/4 - 0s - 0s/step - loss: 2.0000\n");
  });

  it("refuses both lists of metrics", () => {
    assert.throws(
      () => new ProgressBar({ target: 1, statefulMetrics: [], statelessMetrics: [] }),
      (error: unknown) => error instanceof OnnxHubError && error.code === "training/option",
    );
  });
});

describe("numbers as Python prints them", () => {
  it("rounds fixed digits half to even, on the exact value", () => {
    assert.deepEqual([0.5, 1.5, 2.5, -0.5, -0, 0.49999999999999994].map((x) => fixed(x, 0)), ["0", "2", "2", "-0", "-0", "0"]);
    assert.deepEqual([0.03125, 0.09375, 2.675, 1e22, 5e-324].map((x) => fixed(x, 4)), [
      "0.0312",
      "0.0938",
      "2.6750",
      "10000000000000000000000.0000",
      "0.0000",
    ]);
    assert.deepEqual([NaN, Infinity, -Infinity].map((x) => fixed(x, 4)), ["nan", "inf", "-inf"]);
  });

  it("prints exponents of two digits at least", () => {
    assert.deepEqual(
      [0, 1e-3, 9.99995e-4, 123456, -1.5e-7, 1e300, 5e-324].map((x) => exponential(x, 4)),
      ["0.0000e+00", "1.0000e-03", "1.0000e-03", "1.2346e+05", "-1.5000e-07", "1.0000e+300", "4.9407e-324"],
    );
    assert.deepEqual([0.99999999, 99999.5].map((x) => exponential(x, 4)), ["1.0000e+00", "1.0000e+05"]);
  });

  it("prints the shortest digits as repr", () => {
    assert.deepEqual(
      [0, -0, 1, 0.1, 1e-4, 1e-5, 9.999999310821295e-05, 0.009999999776482582, 1e15, 1e16, 123456789.5, 1.5e300, NaN, -Infinity].map(
        floatRepr,
      ),
      [
        "0.0",
        "-0.0",
        "1.0",
        "0.1",
        "0.0001",
        "1e-05",
        "9.999999310821295e-05",
        "0.009999999776482582",
        "1000000000000000.0",
        "1e+16",
        "123456789.5",
        "1.5e+300",
        "nan",
        "-inf",
      ],
    );
  });

  it("fills fields and groups thousands", () => {
    assert.deepEqual([integer(7, 3), integer(7, 3, true), integer(-7, 3, true), integer(7.9)], ["  7", "007", "-07", "7"]);
    assert.deepEqual([0, 999, 1000, 44704, 1234567, -1234].map(thousands), ["0", "999", "1,000", "44,704", "1,234,567", "-1,234"]);
    assert.deepEqual(
      [
        formatField(3, "02d"),
        formatField(0.12345, ".2f"),
        formatField(0.12345, "07.3f"),
        formatField(1e-5, ".1e"),
        formatField(3, ""),
        formatField(0.5, ""),
      ],
      ["03", "0.12", "000.123", "1.0e-05", "3", "0.5"],
    );
    assert.deepEqual([formatField(0.5, "d"), formatField(1, "x"), formatField(1, ".2")], [undefined, undefined, undefined]);
  });
});

/** The comparison of variants, small: a ranking, a chart; and what charts and plots are. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { spec } from "onnxhub";
import { lineChart } from "../../examples/line_chart.ts";
import { sparkline, textPlot } from "../../examples/text_plot.ts";
import { compare, GRID, SETTINGS } from "../../examples/variants.ts";

describe("examples/variants.ts", () => {
  const directory = mkdtempSync(join(tmpdir(), "onnxhub-variants-"));
  after(() => rmSync(directory, { recursive: true }));

  it("has a grid of eight different architectures", async () => {
    const variants = spec.variants(await spec.load("xlm_roberta"), GRID);
    const config = { vocabulary_size: 100 };
    assert.equal(variants.length, 8);
    assert.equal(new Set(variants.map((variant) => spec.hash(spec.expand(variant.spec, { config })))).size, 8);
  });

  it("trains every variant, ranks them and draws their curves", async () => {
    const chart = join(directory, "out", "variants.svg");
    const small = { config: { num_layers: 1, hidden_dim: 8, num_heads: 2, intermediate_dim: 8 } };
    const printed: string[] = [];
    const grid = { ...GRID, size: { small } };
    // Threads as in all other tests: they can be set once a process.
    const settings = { ...SETTINGS, grid, languages: ["en"], passes: 1, epochs: 2, threads: undefined, chart };
    const results = await compare(settings, (text) => printed.push(text));
    assert.deepEqual(
      results.map(({ name }) => name).sort(),
      ["plain", "pre-norm", "rms+silu", "tied"].map((layer) => `size=small, layer=${layer}`),
    );
    for (const { name, parameters, loss, valLoss } of results) {
      assert.ok(parameters > 8 * 8002, name);
      assert.ok(loss.length === 2 && loss[1] < loss[0], `${name}: ${loss.join(" ")}`);
      assert.equal(valLoss.length, 2);
    }
    const last = results.map(({ valLoss }) => valLoss[1]);
    assert.deepEqual(last, last.toSorted((a, b) => a - b));
    for (const [i, { name }] of results.entries()) assert.ok(printed.some((line) => line.startsWith(`${i + 1}. ${name} `)), name);
    const svg = readFileSync(chart, "utf8");
    for (const { name } of results) assert.ok(svg.includes(`>${name}</text>`), name);
  });
});

describe("a line chart", () => {
  const text = { title: "A & B", x: "steps", y: "loss" };
  const svg = lineChart([{ name: "a<b", points: [[0, 1], [10, 2]] }, { name: "flat", points: [[0, 1.5], [5, 1.5]] }], text);

  it("goes from the corner of its lowest to that of its highest point", () => {
    assert.match(svg, /<path d="M64 424L650 48" fill="none" stroke="#0072b2"/);
    assert.match(svg, /<path d="M64 236L357 236" fill="none" stroke="#d55e00"/);
  });

  it("labels round ticks, axes and lines, escaped", () => {
    for (const label of ["A &amp; B", "steps", "loss", "a&lt;b", "flat", "1.2", "1.8", "8", "10"]) {
      assert.ok(svg.includes(`>${label}</text>`), label);
    }
  });
});

describe("a plot as text", () => {
  it("has a mark an epoch and series, between the least and the greatest value", () => {
    assert.equal(
      textPlot([{ name: "loss", values: [3, 2, 1] }, { name: "other", values: [2, 2] }], { height: 3, spacing: 2 }),
      [
        "3.00 ┤ ●",
        "2.00 ┤ ○ ○",
        "1.00 ┤     ●",
        "     └──────",
        "       1 2 3  epoch",
        "         ● loss   ○ other",
      ].join("\n"),
    );
  });

  it("is a bar a value in a sparkline, all low where they are equal", () => {
    assert.equal(sparkline([1, 2, 3, 8]), "▁▂▃█");
    assert.equal(sparkline([5, 5]), "▁▁");
    assert.equal(sparkline([0, 5, 20], 0, 10), "▁▅█");
  });
});

/** Tests expressions: types, names, traps. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluate, type Scope } from "../../spec/expressions.ts";
import { throwsError } from "./expecting.ts";

const place = { file: "spec.json", path: "config.x" };
const scope: Scope = { a: 7, b: true, none_value: null, list: [1, 2, 3], object: { key: "value" }, text: "abc", tiny: 1e-12 };
const value = (text: string) => evaluate(text, scope, place);

describe("evaluate", () => {
  const cases: [string, unknown][] = [
    ["plain text", "plain text"],
    ["{{ a }}", 7],
    ["{{ a // 2 }}", 3],
    ["{{ a % 2 }}", 1],
    ["{{ a ** 2 }}", 49],
    ["{{ a / 2 }}", 3.5],
    ["{{ -a + 1 }}", -6],
    ["{{ a > 3 and b }}", true],
    ["{{ not b }}", false],
    ["{{ 'yes' if b else 'no' }}", "yes"],
    ["{{ none_value is none }}", true],
    ["{{ none }}", null],
    ["{{ true }}", true],
    ["{{ [a, a * 2] }}", [7, 14]],
    ["{{ {'k': a} }}", { k: 7 }],
    ["{{ list[1] }}", 2],
    ["{{ object.key }}", "value"],
    ["{{ list | length }}", 3],
    ["{{ min(a, 3) }}", 3],
    ["{{ max(a, 3, 11) }}", 11],
    ["{{ abs(0 - a) }}", 7],
    ["{{ round(a / 3, 2) }}", 2.33],
    ["{{ range(3) }}", [0, 1, 2]],
    ["{{ range(1, 7, 2) }}", [1, 3, 5]],
    ["{{ tiny }}", 1e-12],
    ["layer_{{ a }}", "layer_7"],
    ["{{ a }}_{{ text }}", "7_abc"],
    ["{{ a }}{{ a }}", "77"],
    ["x{{ suffix(0) }}", "x"],
    ["x{{ suffix(3) }}", "x_3"],
  ];
  for (const [text, expected] of cases) {
    it(`gives ${JSON.stringify(expected)} for ${text}`, () => assert.deepEqual(value(text), expected));
  }

  it("names the nearest name for an unknown one, and the place", () => {
    throwsError(() => value("{{ tex }}"), {
      code: "spec/unknown-name",
      path: "spec.json: config.x",
      says: ["`tex`", "Did you mean `text`?"],
    });
  });
  it("checks the names in branches that are not taken", () => {
    throwsError(() => value("{{ a if b else missing }}"), { code: "spec/unknown-name", says: ["`missing`"] });
  });
  it("checks the names in arguments of filters and functions", () => {
    throwsError(() => value("{{ a | default(missing) }}"), { code: "spec/unknown-name" });
    throwsError(() => value("{{ min(a, missing) }}"), { code: "spec/unknown-name" });
  });
  it("says where numbers such as 1e-12 go", () => {
    throwsError(() => value("{{ 1e-12 }}"), { code: "spec/expression", says: ["`config` or `let`"] });
  });
  it("refuses a syntax error", () => throwsError(() => value("{{ a + }}"), { code: "spec/expression", path: "config.x" }));
  it("refuses an expression that is not closed", () => throwsError(() => value("{{ a"), { code: "spec/expression" }));
  it("refuses statements", () => throwsError(() => value("{% if a %}x{% endif %}"), { code: "spec/expression", says: ["no statements"] }));
  it("refuses a division by zero", () => throwsError(() => value("{{ a // 0 }}"), { code: "spec/expression", says: ["division by zero"] }));
  it("refuses a key that is not there", () =>
    throwsError(() => value("{{ object.other }}"), { code: "spec/expression", says: ["not there"] }));
  it("refuses an unknown filter", () => throwsError(() => value("{{ a | shout }}"), { code: "spec/expression" }));
  it("bounds a range", () => throwsError(() => value("{{ range(100000) }}"), { code: "spec/expression", says: ["10000"] }));
  it("refuses min of text", () => throwsError(() => value("{{ min(text) }}"), { code: "spec/expression" }));
});

/** Tests the generated files: the JSON Schema and the index of architectures are not stale, and the specs fit the schema. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { generatedFiles } from "../../spec/generate_schema.ts";
import { jsonSchema } from "../../spec/index.ts";
import { type Loose, tinySpec } from "./expecting.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const schema = JSON.parse(read("spec/spec.schema.json")) as Loose;

/** Whether a value fits a JSON Schema, for the keywords that the generated one uses. */
function fits(value: Loose, rule: Loose): boolean {
  if (rule.$ref && !fits(value, schema.$defs[rule.$ref.split("/").at(-1)])) return false;
  if (rule.anyOf && !rule.anyOf.some((each: Loose) => fits(value, each))) return false;
  if ("const" in rule && value !== rule.const) return false;
  if (rule.enum && !rule.enum.includes(value)) return false;
  if (rule.type && !isType(value, rule.type)) return false;
  if (rule.pattern && !new RegExp(rule.pattern).test(value)) return false;
  if (rule.minimum !== undefined && value < rule.minimum) return false;
  if (rule.maximum !== undefined && value > rule.maximum) return false;
  if (rule.exclusiveMinimum !== undefined && value <= rule.exclusiveMinimum) return false;
  if (rule.type === "array") {
    return value.every((item: Loose, i: number) => fits(item, rule.prefixItems?.[i] ?? rule.items ?? {})) &&
      value.length >= (rule.minItems ?? 0);
  }
  if (rule.type !== "object") return true;
  if (rule.required?.some((key: string) => !(key in value))) return false;
  return Object.entries(value).every(([key, item]) => {
    if (rule.propertyNames && !fits(key, rule.propertyNames)) return false;
    if (rule.properties?.[key]) return fits(item, rule.properties[key]);
    return rule.additionalProperties !== false && (!rule.additionalProperties || fits(item, rule.additionalProperties));
  });
}

function isType(value: Loose, type: string): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  const actual: string = typeof value;
  return actual === type;
}

describe("the generated files", () => {
  for (const [path, text] of Object.entries(generatedFiles())) {
    it(`${path.replace(/.*\/spec\//, "spec/")} is not stale`, () =>
      assert.equal(readFileSync(path, "utf8"), text, "run deno run -A spec/generate_schema.ts"));
  }
});

describe("the JSON Schema", () => {
  it("is plain JSON", () => assert.deepEqual(JSON.parse(JSON.stringify(jsonSchema())), jsonSchema()));
  const files = [
    ...readdirSync(new URL("../../spec/architectures/", import.meta.url)).filter((name) => name.endsWith(".json")).map((name) =>
      `spec/architectures/${name}`
    ),
    "tests/fixtures/architectures/gpt2.json",
  ];
  for (const path of files) {
    it(`takes ${path}`, () => assert.ok(fits(JSON.parse(read(path)), schema)));
  }
  const bad: [string, (spec: Loose) => void][] = [
    ["an unknown key", (s) => s.confg = {}],
    ["an unknown option", (s) => s.backbone.layers[1].rat = 1],
    ["an unknown layer", (s) => s.backbone.layers[1].layer = "nothing"],
    ["a missing option", (s) => delete s.backbone.layers[1].rate],
    ["a wrong type", (s) => s.backbone.layers[1].rate = true],
    ["a rate above 1", (s) => s.backbone.layers[1].rate = 2],
    ["an unknown type of config entry", (s) => s.config.width = "integer"],
  ];
  it("takes a small spec", () => assert.ok(fits(tinySpec(), schema)));
  for (const [what, change] of bad) {
    it(`refuses ${what}`, () => {
      const spec = tinySpec();
      change(spec);
      assert.ok(!fits(spec, schema));
    });
  }
});

/** Small specs that would become large ones: each is refused at once, with the place that grows. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { expand, parseSpec } from "../../spec/index.ts";

const embedding = { layer: "embedding", name: "embedding", in: "token_ids", vocabulary_size: 4, dim: 4 };
const relu = (name: string) => ({ layer: "activation", name, function: "relu" });
const counted = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i));

/** A small model with some of its keys replaced. */
function model(parts: object): object {
  return {
    name: "small",
    config: { n: { type: "int", default: 2 } },
    inputs: { token_ids: { dtype: "int32", shape: ["batch", "sequence"] } },
    backbone: { layers: [embedding] },
    ...parts,
  };
}

/** Names that each stand for two of the one before. */
const doubling = (first: string, twice: (name: string) => string): object => ({
  let: Object.fromEntries([["s0", first], ...counted(40, (i) => [`s${i + 1}`, `{{ ${twice(`s${i}`)} }}`])]),
});

/** A list of lists in lists. */
const nested = (levels: number): unknown => levels === 0 ? [relu("deep")] : [{ layers: nested(levels - 1) }];

const BOMBS: readonly (readonly [what: string, parts: object, code: string, place: RegExp])[] = [
  [
    "repetitions inside repetitions",
    { backbone: { layers: [embedding, { repeat: 1000, as: "i", layers: [{ repeat: 1000, as: "j", ...relu("a{{ i }}_{{ j }}") }] }] } },
    "spec/value",
    /backbone\.layers\[1\]\.layers\[0\]\.repeat\): expected at most 10000 in all, found 1000000/,
  ],
  ["text that doubles", doubling("xxxxxxxxxx", (name) => `${name} ~ ${name}`), "spec/expression", /let\.s14.*larger than 100000/],
  ["lists that double", doubling("{{ range(1000) }}", (name) => `${name} + ${name}`), "spec/expression", /let\.s7.*larger than 100000/],
  [
    "blocks of two blocks each",
    {
      blocks: Object.fromEntries(counted(40, (i) => [`b${i}`, {
        inputs: ["x"],
        layers: i === 0 ? [relu("a")] : [{ block: `b${i - 1}`, name: "p" }, { block: `b${i - 1}`, name: "q" }],
      }])),
      backbone: { layers: [embedding, { block: "b39", name: "all" }] },
    },
    "spec/too-large",
    /blocks\.b17\): expected at most 100000, found 131072/,
  ],
  ["a long range", { let: { s: "{{ range(100000000) }}" } }, "spec/expression", /let\.s.*at most 10000/],
  ["a long expression", { let: { s: `{{ ${"1 + ".repeat(100_000)}1 }}` } }, "spec/expression", /let\.s\): expected at most 2000/],
  ["parentheses in parentheses", { let: { s: `{{ ${"(".repeat(50_000)} }}` } }, "spec/expression", /let\.s\): expected at most 2000/],
  ["lists in lists", { backbone: { layers: [embedding, ...nested(5000) as object[]] } }, "spec/value", /at most 64 levels/],
  [
    "sizes that no tensor has",
    { backbone: { layers: [{ ...embedding, vocabulary_size: 1e308 }] } },
    "spec/value",
    /vocabulary_size\): expected an integer of at most 2147483647, found 1e\+308/,
  ],
];

describe("a spec that would grow beyond all bounds is refused", () => {
  for (const [what, parts, code, place] of BOMBS) {
    it(what, () => {
      assert.throws(() => expand(parseSpec(model(parts), "small.json")), (error) => {
        assert.ok(error instanceof OnnxHubError, String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, /small\.json/);
        assert.match(error.message, place);
        assert.ok(error.message.length < 2000, error.message);
        return true;
      });
    });
  }

  it("though it may have ten thousand blocks", () => {
    const layers = [embedding, { repeat: 100, as: "i", layers: [{ repeat: 100, as: "j", ...relu("a{{ i }}_{{ j }}") }] }];
    assert.equal(expand(parseSpec(model({ backbone: { layers } }), "small.json")).backbone.layers.length, 10_001);
  });
});

describe("names of what every object of JavaScript has", () => {
  it("are unknown in expressions", () => {
    for (const name of ["toString", "constructor", "hasOwnProperty", "valueOf"]) {
      assert.throws(
        () => expand(parseSpec(model({ let: { s: `{{ ${name} }}` } }), "small.json")),
        (error) => error instanceof OnnxHubError && error.code === "spec/unknown-name" && error.message.includes(name),
      );
    }
  });

  it("are unknown in configurations, and free for blocks", () => {
    assert.throws(
      () => expand(parseSpec(model({}), "small.json"), { config: { constructor: 1 } as never }),
      (error) => error instanceof OnnxHubError && error.code === "spec/unknown-config",
    );
    const blocks = { toString: { inputs: ["x"], layers: [relu("a")] } };
    const layers = [embedding, { block: "toString", name: "all" }];
    const { blocks: expanded } = expand(parseSpec(model({ blocks, backbone: { layers } }), "small.json"));
    assert.deepEqual(Object.keys(expanded), ["toString"]);
  });

  it("are no layers, and no initializers", () => {
    for (const name of ["toString", "constructor", "__proto__"]) {
      for (const layer of [{ ...relu("a"), layer: name }, { ...embedding, initializer: { type: name } }]) {
        assert.throws(
          () => parseSpec(model({ backbone: { layers: [embedding, layer] } }), "small.json"),
          (error) => error instanceof OnnxHubError && error.code === "spec/value" && error.message.includes(`found "${name}"`),
          `${name} ${JSON.stringify(layer)}`,
        );
      }
    }
  });

  it("don't hide a key that sets a prototype", () => {
    const json = JSON.parse(JSON.stringify(model({})).replace('"n":', '"__proto__":'));
    assert.throws(
      () => parseSpec(json, "small.json"),
      (error) => error instanceof OnnxHubError && error.code === "spec/unknown-key" && error.path === "small.json",
    );
  });
});

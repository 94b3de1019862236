/** Who is measured beside whom, for how long, and what comes of the numbers. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { contestant, CONTESTANTS, expectedBytes, parameterCount } from "../../bench/contestants.ts";
import { GOALS } from "../../bench/goals.ts";
import { SCENARIOS } from "../../bench/scenarios.ts";
import { disagreementsOf, groupsOf, stepsOf } from "../../bench/schedule.ts";
import { median, pairedRatios, spreadOf } from "../../bench/statistics.ts";
import { inputsOf, weightsOf } from "../../bench/workload.ts";
import { models } from "../../mod.ts";
import { TINY } from "./contestants.ts";

describe("groups of contestants", () => {
  const one = (name: string, gigabytes: number, ours = false) => ({ name, gigabytes, ours });
  const names = (available: number, ...contestants: ReturnType<typeof one>[]) =>
    groupsOf(contestants, ({ gigabytes }) => gigabytes, available).map((group) => group.map(({ name }) => name).join(" "));
  const all = [one("us", 5, true), one("jax", 6), one("torch", 9), one("we", 6, true), one("tf", 8)];

  it("are one where memory is enough", () => {
    assert.deepEqual(names(34, ...all), ["us we jax torch tf"]);
  });

  it("each have ours and as many peers as fit, in order", () => {
    assert.deepEqual(names(22, ...all), ["us we jax", "us we torch", "us we tf"]);
    assert.deepEqual(names(26, ...all), ["us we jax torch", "us we tf"]);
  });

  it("have one peer where not even one fits", () => {
    assert.deepEqual(names(1, ...all), ["us we jax", "us we torch", "us we tf"]);
  });

  it("are ours alone where there is no peer", () => {
    assert.deepEqual(names(1, all[0], all[3]), ["us we"]);
  });
});

describe("a round", () => {
  it("has the steps that are asked for unless they took too long before, at least one", () => {
    assert.equal(stepsOf(5, 0), 5);
    assert.equal(stepsOf(5, 0.01), 5);
    assert.equal(stepsOf(5, 1), 3);
    assert.equal(stepsOf(5, 40), 1);
  });
});

describe("ratios", () => {
  it("are taken within a round, so that a slow moment of the machine cancels", () => {
    const ours = new Map([[0, 1], [1, 10], [2, 1]]);
    const theirs = new Map([[0, 2], [1, 20], [2, 2.2], [7, 1000]]);
    assert.deepEqual(pairedRatios(theirs, ours), { median: 2, min: 2, max: 2.2 });
    assert.equal(pairedRatios(theirs, new Map([[5, 1]])), null);
  });

  it("are medians, and a median is the middle", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.throws(() => median([]), RangeError);
    assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  });
});

describe("facts that are to agree", () => {
  const said = (...facts: Record<string, number[]>[]) => facts.map((fact, i) => ({ contestant: `c${i}`, facts: fact }));

  it("do within the tolerance", () => {
    assert.deepEqual(disagreementsOf(said({ losses: [9, 8] }, { losses: [9.0001, 8] }), { fact: "losses", tolerance: 1e-4 }), []);
  });

  it("don't beyond it, in another number of values, or where one is silent", () => {
    const [silent, far, short] = disagreementsOf(said({ losses: [9, 8] }, { losses: [9, 8.1] }, { losses: [9] }, {}), {
      fact: "losses",
      tolerance: 1e-4,
    });
    assert.match(silent, /c3 tells no losses/);
    assert.match(far, /^c1 .*8\.1/);
    assert.match(short, /^c2 /);
  });
});

describe("the tables of the bench", () => {
  it("name contestants that there are, each once", () => {
    const names = CONTESTANTS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { contestants } of SCENARIOS) for (const name of contestants) assert.ok(contestant(name));
    assert.throws(() => contestant("nobody"), RangeError);
  });

  it("have goals about scenarios with the contestants that they are about", () => {
    for (const goal of GOALS) {
      const scenario = SCENARIOS.find(({ name }) => name === goal.scenario);
      assert.ok(scenario, goal.scenario);
      const named = "peer" in goal ? [goal.ours, goal.peer] : [goal.ours];
      for (const name of named) assert.ok(scenario.contestants.includes(name), `${goal.title}: ${name}`);
      assert.equal(scenario.points.length, 1);
    }
  });

  it("have scenarios whose masks and sequences fit", () => {
    for (const { name, points } of SCENARIOS) {
      for (const { workload } of points) {
        const { sequence, masks, shape } = workload;
        assert.ok(sequence <= shape.maxSequenceLength && masks <= sequence - 2, name);
        assert.equal(shape.hiddenDim % shape.numHeads, 0, name);
      }
    }
  });
});

describe("a workload", () => {
  const maskedLM = () => new models.XLMRobertaMaskedLM({ backbone: new models.XLMRobertaBackbone(TINY.shape) });

  it("lists the model's weights", async () => {
    const model = maskedLM();
    const sizes = (weights: readonly { path: string; shape: readonly number[] }[]) =>
      weights.map(({ path, shape }) => `${path} ${shape.reduce((a, b) => a * b, 1)}`).sort();
    assert.deepEqual(sizes(weightsOf(TINY.shape)), sizes(model.weights));
    await model.dispose();
  });

  it("has about as many parameters as it is taken to have", async () => {
    const model = maskedLM();
    const count = model.countParams();
    const vectors = model.weights.filter(({ shape, path }) => shape.length === 1 || path.endsWith("bias"))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    assert.equal(parameterCount(TINY.shape), count - vectors);
    assert.ok(
      expectedBytes(contestant("KerasHub, torch"), "training step", TINY.shape) >
        expectedBytes(contestant("jax-js"), "fill-mask", TINY.shape),
    );
    await model.dispose();
  });

  it("has a batch of ordinary tokens between start and end, and masks inside", () => {
    const { tokenIds, maskPositions, labels } = inputsOf(TINY);
    for (let row = 0; row < TINY.batch; row++) {
      const ids = tokenIds.subarray(row * TINY.sequence, (row + 1) * TINY.sequence);
      assert.equal(ids[0], 0);
      assert.equal(ids.at(-1), 2);
      assert.ok(ids.subarray(1, -1).every((id) => id >= 5 && id < TINY.shape.vocabularySize));
      const places = maskPositions.subarray(row * TINY.masks, (row + 1) * TINY.masks);
      assert.equal(new Set(places).size, TINY.masks);
      assert.ok(places.every((place) => place > 0 && place < TINY.sequence - 1));
    }
    assert.ok(labels.every((label) => label >= 5 && label < TINY.shape.vocabularySize));
  });
});

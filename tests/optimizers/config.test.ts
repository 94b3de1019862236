/** Optimizers as users write them: Keras' defaults and names, configurations there and back, and what bad options get. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { optimizerNames } from "../../codegen/optimizers/rules.ts";
import { OnnxHubError } from "../../errors.ts";
import { Adam, AdamW, Ftrl, getOptimizer, Lion, Muon, optimizerClasses, RMSprop, SGD } from "../../runtime/optimizer/config.ts";
import { kerasName } from "../../runtime/optimizer/options.ts";
import { keras } from "./keras_cases.ts";

/** Asserts that something throws one error with that code, whose message has all these parts. */
function assertError(run: () => unknown, code: string, ...parts: readonly string[]): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), `"${error.message}" does not say "${part}"`);
    return true;
  });
}

describe("optimizer classes", () => {
  it("there is one for each of Keras' thirteen", () => {
    assert.deepEqual(optimizerNames.toSorted(), Object.keys(keras.configs).toSorted());
    assert.deepEqual(Object.keys(optimizerClasses).toSorted(), Object.keys(keras.configs).toSorted());
  });

  for (const name of optimizerNames) {
    it(`${name}'s configuration is Keras' with Keras' defaults, and makes the same optimizer again`, () => {
      const optimizer = new optimizerClasses[name]();
      const expected = { ...keras.configs[name], name: kerasName(name) };
      assert.deepEqual(optimizer.getConfig(), expected);
      assert.deepEqual(getOptimizer({ class_name: name, config: expected }).getConfig(), expected);
    });
  }

  it("a number is the learning rate, and so is a schedule", () => {
    assert.equal(new Adam(5e-5).options.learningRate, 5e-5);
    const schedule = { at: (step: number) => 1 / (step + 1) };
    assert.equal(new SGD(schedule).options.learningRate, schedule);
    assert.equal(new SGD({ learningRate: schedule, momentum: 0.5 }).settings.hasSchedule, true);
  });

  it("an option that is undefined keeps its default", () => {
    assert.equal(new Adam({ beta1: undefined }).options.beta1, 0.9);
  });

  it("a schedule is written as Keras writes one, and read by the reader that is given", () => {
    const schedule = { at: () => 0.5, className: "CosineDecay", getConfig: () => ({ decay_steps: 4 }) };
    const config = new AdamW({ learningRate: schedule }).getConfig();
    assert.deepEqual(config.learning_rate, {
      module: "keras.optimizers.schedules",
      class_name: "CosineDecay",
      config: { decay_steps: 4 },
      registered_name: null,
    });
    const read = AdamW.fromConfig(config, ({ class_name, config }) => {
      assert.deepEqual([class_name, config], ["CosineDecay", { decay_steps: 4 }]);
      return schedule;
    });
    assert.ok(read instanceof AdamW);
    assert.equal(read.options.learningRate, schedule);
    assertError(() => AdamW.fromConfig(config), "optimizer/schedule", "CosineDecay");
  });

  it("weight decay passes by excluded paths and names, a name being the path's last part", () => {
    const optimizer = new AdamW();
    optimizer.excludeFromWeightDecay({ paths: ["head/kernel"], names: ["bias", "^gamma$"] });
    const excluded = ["head/kernel", "dense/bias", "dense/output_bias", "norm/gamma"];
    for (const path of excluded) assert.equal(optimizer.isExcludedFromWeightDecay(path), true, path);
    for (const path of ["dense/kernel", "bias/kernel", "norm/gamma_2"]) {
      assert.equal(optimizer.isExcludedFromWeightDecay(path), false, path);
    }
  });
});

describe("getOptimizer", () => {
  it("knows every optimizer by its name in any case", () => {
    for (const name of optimizerNames) {
      assert.ok(getOptimizer(name.toLowerCase()) instanceof optimizerClasses[name]);
      assert.ok(getOptimizer(name) instanceof optimizerClasses[name]);
    }
  });

  it("returns an optimizer as it is", () => {
    const optimizer = new Lion();
    assert.equal(getOptimizer(optimizer), optimizer);
  });

  it("an unknown name is one error with the nearest name", () => {
    assertError(() => getOptimizer("adm"), "optimizer/unknown", "adm", 'Did you mean "adam"?');
    assertError(() => getOptimizer("gradient descent"), "optimizer/unknown", "one of adam, adamw");
    assertError(() => getOptimizer(null as unknown as string), "optimizer/unknown", "null");
  });
});

describe("bad options", () => {
  const loose = <T>(value: T): never => value as never;

  it("an unknown option names the nearest", () => {
    assertError(() => new Adam(loose({ learnignRate: 1 })), "optimizer/option", "Adam.learnignRate", "Did you mean `learningRate`?");
    assertError(() => new Adam(loose({ beta_1: 0.9 })), "optimizer/option", "Did you mean `beta1`?");
    assertError(() => new SGD(loose({ weight_decay: 0.9 })), "optimizer/option", "Did you mean `weightDecay`?");
    assertError(() => Adam.fromConfig({ rho: 0.9 }), "optimizer/option", "Adam has no option `rho`");
  });

  it("only one way of clipping", () => {
    assertError(
      () => new Adam({ clipnorm: 1, clipvalue: 0.5 }),
      "optimizer/clip",
      "Only one of `clipnorm`, `clipvalue` and `globalClipnorm` can be set",
      "clipnorm=1, clipvalue=0.5, globalClipnorm=null",
    );
  });

  it("values of the wrong type or out of range", () => {
    assertError(() => new Adam(loose("fast")), "optimizer/option", "Argument `learningRate` should be float", '"fast"');
    assertError(() => new Adam(loose(null)), "optimizer/option", "null");
    assertError(() => new Adam(NaN), "optimizer/option", "NaN");
    assertError(() => new Adam(loose({ amsgrad: 1 })), "optimizer/option", "Adam.amsgrad", "a boolean", "1");
    assertError(() => new Adam(loose({ beta1: "0.9" })), "optimizer/option", "a finite number");
    assertError(() => new Adam(loose({ beta1: null })), "optimizer/option", "a finite number", "null");
    assertError(() => new AdamW({ weightDecay: null }), "optimizer/option", "Argument `weightDecay` must be a float");
    assertError(() => new SGD({ momentum: 1.5 }), "optimizer/option", "`momentum` must be a float between [0, 1]", "1.5");
    assertError(() => new Lion({ beta1: 0 }), "optimizer/option", "degenerates to SignSGD");
    assertError(
      () => new Ftrl({ l1RegularizationStrength: -1 }),
      "optimizer/option",
      "`l1RegularizationStrength` needs to be positive or zero",
    );
    assertError(() => new Ftrl({ learningRatePower: 0.5 }), "optimizer/option", "`learningRatePower` needs to be negative or zero");
    assertError(() => new Muon(loose({ excludeLayers: "dense" })), "optimizer/option", "a list of strings");
    assertError(() => new Muon({ excludeLayers: ["dense("] }), "optimizer/option", "Muon.excludeLayers", '"dense("');
    assertError(() => new Muon({ nsSteps: 2.5 }), "optimizer/option", "`nsSteps` must be an integer", "2.5");
    assertError(() => new RMSprop({ gradientAccumulationSteps: 1 }), "optimizer/option", "must be an integer >= 2");
    assertError(() => new RMSprop({ useEma: true, emaMomentum: 1.1 }), "optimizer/option", "range [0, 1]");
    assertError(() => new RMSprop({ useEma: true, emaOverwriteFrequency: 0.5 }), "optimizer/option", "integer >= 1");
  });

  it("null is taken where Keras takes None", () => {
    assert.equal(new Muon({ rmsRate: null, adamWeightDecay: null, weightDecay: null }).options.rmsRate, null);
    assert.equal(new Adam({ clipnorm: null }).options.clipnorm, null);
  });
});

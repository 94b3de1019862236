/** The mask generator: KerasHub's own tests, and the statistics of many draws. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MaskedLMMaskGenerator } from "../../text/masking.ts";

const all = { vocabularySize: 13, maskTokenId: 1, maskSelectionRate: 1, maskSelectionLength: 4, maskTokenRate: 1, randomTokenRate: 0 };
const range = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);

describe("MaskedLMMaskGenerator with every draw certain", () => {
  it("masks everything", () => {
    assert.deepEqual(new MaskedLMMaskGenerator(all).mask([[5, 3, 2, 4], [1, 2, 3, 4]]), {
      tokenIds: [[1, 1, 1, 1], [1, 1, 1, 1]],
      maskPositions: [[0, 1, 2, 3], [0, 1, 2, 3]],
      maskIds: [[5, 3, 2, 4], [1, 2, 3, 4]],
      maskWeights: [[1, 1, 1, 1], [1, 1, 1, 1]],
    });
  });

  it("pads what has fewer selections, with 0", () => {
    const { tokenIds, maskPositions, maskIds, maskWeights } = new MaskedLMMaskGenerator(all).mask([[5, 3, 2], [1, 2, 3, 4]]);
    assert.deepEqual(tokenIds, [[1, 1, 1], [1, 1, 1, 1]]);
    assert.deepEqual(maskPositions, [[0, 1, 2, 0], [0, 1, 2, 3]]);
    assert.deepEqual(maskIds, [[5, 3, 2, 0], [1, 2, 3, 4]]);
    assert.deepEqual(maskWeights, [[1, 1, 1, 0], [1, 1, 1, 1]]);
  });

  it("pads nothing without a selection length", () => {
    const { maskPositions } = new MaskedLMMaskGenerator({ ...all, maskSelectionLength: null }).mask([[5, 3], [2, 4, 5, 6, 7]]);
    assert.deepEqual(maskPositions, [[0, 1], [0, 1, 2, 3, 4]]);
  });

  it("selects nothing with a selection length of 0", () => {
    const masker = new MaskedLMMaskGenerator({ ...all, maskSelectionLength: 0 });
    assert.deepEqual(masker.mask([[5, 3, 2]]), { tokenIds: [[5, 3, 2]], maskPositions: [[]], maskIds: [[]], maskWeights: [[]] });
  });

  it("never selects the unselectable", () => {
    const masker = new MaskedLMMaskGenerator({ ...all, maskSelectionLength: 5, unselectableTokenIds: [12, 11] });
    assert.deepEqual(masker.mask([[12, 11]]), {
      tokenIds: [[12, 11]],
      maskPositions: [[0, 0, 0, 0, 0]],
      maskIds: [[0, 0, 0, 0, 0]],
      maskWeights: [[0, 0, 0, 0, 0]],
    });
  });

  it("leaves id 0 alone by default", () => {
    assert.deepEqual(new MaskedLMMaskGenerator(all).mask([[0, 5, 0, 6]]).maskPositions, [[1, 3, 0, 0]]);
  });

  it("keeps tokens when neither replaced by the mask nor at random", () => {
    const { tokenIds, maskIds } = new MaskedLMMaskGenerator({ ...all, maskTokenRate: 0 }).mask([[5, 3, 2, 4]]);
    assert.deepEqual([tokenIds, maskIds], [[[5, 3, 2, 4]], [[5, 3, 2, 4]]]);
  });

  it("replaces by random tokens and keeps the original as label", () => {
    const masker = new MaskedLMMaskGenerator({ ...all, vocabularySize: 10_000, maskTokenRate: 0, randomTokenRate: 1 });
    const { tokenIds, maskIds, maskPositions } = masker.mask([[5, 3, 2, 4]]);
    assert.notDeepEqual(tokenIds, [[5, 3, 2, 4]]);
    assert.deepEqual([maskPositions, maskIds], [[[0, 1, 2, 3]], [[5, 3, 2, 4]]]);
  });
});

describe("MaskedLMMaskGenerator's draws", () => {
  const options = { vocabularySize: 1000, maskTokenId: 999, maskSelectionRate: 0.15, maskSelectionLength: 20, seed: 5 };

  it("selects exactly ceil(n · rate), at most the selection length, in order", () => {
    for (const [n, count] of [[0, 0], [1, 1], [6, 1], [7, 2], [20, 3], [36, 6], [100, 16], [300, 20]]) {
      const { maskPositions, maskWeights } = new MaskedLMMaskGenerator(options).mask([range(n, 1)]);
      assert.equal(maskWeights[0].reduce((a, b) => a + b, 0), count, `${n} tokens`);
      const positions = maskPositions[0].slice(0, count);
      assert.deepEqual(positions, [...new Set(positions)].sort((a, b) => a - b));
      assert.equal(maskPositions[0].length, 20);
    }
  });

  it("gives the same masks for the same draw, on one generator or another", () => {
    const rows = range(8).map((i) => range(50, 1 + i));
    const draw = { epoch: 3, firstExample: 16, purpose: "fit" };
    assert.deepEqual(new MaskedLMMaskGenerator(options).mask(rows, draw), new MaskedLMMaskGenerator(options).mask(rows, draw));
  });

  it("gives an example the same mask in a batch of any size", () => {
    const rows = range(8).map((i) => range(50, 1 + i));
    const masker = new MaskedLMMaskGenerator(options);
    const whole = masker.mask(rows, { epoch: 1 });
    const second = masker.mask(rows.slice(5), { epoch: 1, firstExample: 5 });
    assert.deepEqual(second.tokenIds, whole.tokenIds.slice(5));
    assert.deepEqual(second.maskPositions, whole.maskPositions.slice(5));
  });

  it("gives other masks for another epoch, example, purpose or seed", () => {
    const row = [range(200, 1)];
    const masker = new MaskedLMMaskGenerator(options);
    const draws = [
      masker.mask(row),
      masker.mask(row, { epoch: 1 }),
      masker.mask(row, { firstExample: 1 }),
      masker.mask(row, { purpose: "validation" }),
      new MaskedLMMaskGenerator({ ...options, seed: 6 }).mask(row),
    ].map(({ maskPositions }) => maskPositions[0].join());
    assert.equal(new Set(draws).size, draws.length);
  });

  it("selects every position as often as any other", () => {
    const n = 40;
    const epochs = 4000;
    const counts = new Array<number>(n).fill(0);
    const masker = new MaskedLMMaskGenerator({ ...options, maskSelectionLength: null });
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const position of masker.mask([range(n, 1)], { epoch }).maskPositions[0]) counts[position]++;
    }
    const expected = epochs * 6 / n;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.ok(chiSquare < 80, `chi-square of ${n - 1} degrees of freedom: ${chiSquare}`); // beyond 80: 1 in 8,000
  });

  it("replaces by the mask, by any token, or not, in the shares asked for", () => {
    const masker = new MaskedLMMaskGenerator({
      ...options,
      maskSelectionRate: 1,
      maskSelectionLength: null,
      maskTokenRate: 0.6,
      randomTokenRate: 0.3,
    });
    const rows = range(40).map(() => range(500, 1));
    let masked = 0;
    let kept = 0;
    const random: number[] = [];
    masker.mask(rows).tokenIds.forEach((row, i) =>
      row.forEach((id, k) => {
        if (id === 999) masked++;
        else if (id === rows[i][k]) kept++;
        else random.push(id);
      })
    );
    const share = (count: number): number => count / 20_000;
    assert.ok(Math.abs(share(masked) - 0.6) < 0.015, `${share(masked)} masked`);
    assert.ok(Math.abs(share(kept) - 0.1) < 0.01, `${share(kept)} kept`);
    assert.ok(Math.abs(share(random.length) - 0.3) < 0.015, `${share(random.length)} random`);
    // Uniform over all ids but the mask, which counts as masked here: mean 499 with a standard error of 289 / √6000.
    assert.ok(Math.abs(random.reduce((a, b) => a + b, 0) / random.length - 499) < 15);
    assert.ok(Math.min(...random) < 10 && Math.max(...random) > 988);
  });
});

describe("MaskedLMMaskGenerator's arguments", () => {
  const good = { vocabularySize: 13, maskTokenId: 1, maskSelectionRate: 0.5, maskSelectionLength: 5 };

  it("need a mask token in the vocabulary", () => {
    for (const maskTokenId of [13, -1]) {
      assert.throws(() => new MaskedLMMaskGenerator({ ...good, maskTokenId }), {
        code: "text/mask-token-id",
        message: new RegExp(`^Mask token id should be in range \\[0, vocabulary_size - 1\\], but received mask_token_id=${maskTokenId}`),
      });
    }
  });

  it("need rates between 0 and 1, the replacements' together too", () => {
    assert.throws(() => new MaskedLMMaskGenerator({ ...good, maskSelectionRate: 1.5 }), {
      code: "text/mask-rate",
      path: "maskSelectionRate",
      found: "1.5",
    });
    assert.throws(() => new MaskedLMMaskGenerator({ ...good, maskTokenRate: NaN }), { code: "text/mask-rate", path: "maskTokenRate" });
    assert.throws(() => new MaskedLMMaskGenerator({ ...good, randomTokenRate: -0.1 }), { code: "text/mask-rate", path: "randomTokenRate" });
    assert.throws(() => new MaskedLMMaskGenerator({ ...good, maskTokenRate: 0.8, randomTokenRate: 0.3 }), {
      code: "text/mask-rate",
      expected: "a sum of at most 1",
    });
  });

  it("need a selection length that is a count", () => {
    assert.throws(() => new MaskedLMMaskGenerator({ ...good, maskSelectionLength: 2.5 }), { code: "text/mask-length" });
    assert.throws(() => new MaskedLMMaskGenerator({ ...good, maskSelectionLength: -1 }), { code: "text/mask-length" });
  });
});

/** Contestants' processes: what they are asked and answer, how they fail, that this project's own is one. */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { ContestantProcess } from "../../bench/contestant_process.ts";
import { peakBytes, processTree } from "../../bench/memory.ts";
import { readMessage, type Response, writeMessage } from "../../bench/protocol.ts";
import { launchFile, ROOT, TINY } from "./contestants.ts";

const ECHO = join("tests", "bench", "echo_contestant.ts");

describe("a contestant's process", () => {
  let contestant: ContestantProcess;
  before(() => {
    contestant = new ContestantProcess(launchFile(ECHO), ROOT);
  });
  after(() => contestant.stop());

  it("does not measure before it has prepared", async () => {
    assert.deepEqual(await contestant.ask({ do: "measure", steps: 1 }), { did: "fail", reason: "nothing is prepared" });
  });

  it("prepares with the warm-up's losses, and measures step by step what it timed itself", async () => {
    assert.deepEqual(await contestant.ask({ do: "prepare", workload: TINY }), {
      did: "prepare",
      facts: { lane: "", batch: 2, disposed: 0, loss: 2, tokens: [2, 7], losses: [1, 2] },
    });
    const response = await contestant.ask({ do: "measure", steps: 2 });
    assert.deepEqual(response, { did: "measure", seconds: [3e-3, 4e-3], facts: { loss: 4, tokens: [2, 7] } });
  });

  it("keeps lanes apart, and lets go of what a lane had before", async () => {
    const prepare = async (lane: string, batch: number) => {
      const response = await contestant.ask({ do: "prepare", workload: { ...TINY, batch }, lane });
      return response.did === "prepare" ? [response.facts.lane, response.facts.batch, response.facts.disposed] : response;
    };
    assert.deepEqual(await prepare("a", 3), ["a", 3, 0]);
    assert.deepEqual(await prepare("b", 4), ["b", 4, 0]);
    assert.deepEqual(await prepare("a", 5), ["a", 5, 1]);
    const response = await contestant.ask({ do: "measure", steps: 1, lane: "b" });
    assert.deepEqual(response.did === "measure" && response.facts.tokens, [4, 7]);
  });

  it("answers again after it was stopped and woken", async () => {
    await contestant.sleep();
    contestant.wake();
    assert.equal((await contestant.ask({ do: "measure", steps: 1 })).did, "measure");
  });

  it("says in one line why it failed, and goes on", async () => {
    const response = await contestant.ask({ do: "prepare", workload: { ...TINY, text: "fail" } });
    assert.deepEqual(response, { did: "fail", reason: "TypeError: as it was told" });
    assert.equal((await contestant.ask({ do: "prepare", workload: TINY })).did, "prepare");
  });
});

describe("a contestant that ends or can't start", () => {
  it("has failed, with its last words", async () => {
    const contestant = new ContestantProcess(launchFile(ECHO), ROOT);
    const response = await contestant.ask({ do: "prepare", workload: { ...TINY, text: "end" } });
    assert.equal(response.did, "fail");
    assert.match(response.did === "fail" ? response.reason : "", /code 3: .*its last words/);
    assert.equal(contestant.peakBytes(), null);
    assert.equal((await contestant.ask({ do: "measure", steps: 1 })).did, "fail");
    await contestant.stop();
  });

  it("has failed where its command is not there", async () => {
    const contestant = new ContestantProcess({ command: join(ROOT, "no-such-command"), args: [] }, ROOT);
    const response = await contestant.ask({ do: "prepare", workload: TINY });
    assert.match(response.did === "fail" ? response.reason : "", /no-such-command|ENOENT/);
    await contestant.stop();
  });
});

describe("this project as a contestant", () => {
  it("trains from the weights that all start from, and tells how long onnxruntime ran", async () => {
    const contestant = new ContestantProcess(launchFile(join("bench", "ours", "model.ts"), "wasm"), ROOT);
    try {
      const prepared = await contestant.ask({ do: "prepare", workload: TINY });
      assert.ok(prepared.did === "prepare", JSON.stringify(prepared));
      const losses = prepared.facts.losses as number[];
      assert.equal(losses.length, 2);
      assert.ok(Math.abs(losses[0] - Math.log(50)) < 0.1, String(losses));
      assert.ok(losses[1] < losses[0], String(losses));
      const response = await contestant.ask({ do: "measure", steps: 2 });
      assert.ok(response.did === "measure", JSON.stringify(response));
      assert.equal(response.seconds.length, 2);
      const { outsideRuntime } = response.facts;
      assert.ok(typeof outsideRuntime === "number" && outsideRuntime > 0 && outsideRuntime < 1, String(outsideRuntime));
      if (process.platform === "linux") assert.ok(contestant.peakBytes()! > 50e6);
    } finally {
      await contestant.stop();
    }
  });
});

describe("the memory of a process", () => {
  it("is that of all it started", () => {
    if (process.platform !== "linux") return assert.deepEqual(processTree(process.pid), [process.pid]);
    assert.equal(processTree(process.pid)[0], process.pid);
    assert.ok(processTree(process.ppid).includes(process.pid));
    assert.ok(peakBytes(process.pid)! > 20e6);
    assert.equal(peakBytes(2 ** 22 + 1), null);
  });
});

describe("a message", () => {
  it("is a line that other lines aren't taken for", () => {
    const response: Response = { did: "measure", seconds: [0.5], facts: { note: "two\nlines" } };
    const line = writeMessage(response);
    assert.doesNotMatch(line, /\n/);
    assert.deepEqual(readMessage<Response>(line), response);
    assert.equal(readMessage<Response>('{"did":"measure"}'), null);
  });
});

/** What `deno task test` reads out of the reports of the two runners. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseReport } from "../../tools/junit.ts";

const DENO = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="7" failures="2" errors="0" time="0.4">
    <testsuite name="./tests/a.test.ts" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="outer" classname="./tests/a.test.ts" time="0.005" line="3" col="1">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="alone" classname="./tests/a.test.ts" time="0.000" line="9" col="1">
        </testcase>
    </testsuite>
    <testsuite name="ext:node" tests="5" disabled="1" errors="0" failures="2">
        <testcase name="outer &gt; one" classname="ext:node" time="0.000" line="1" col="1">
        </testcase>
        <testcase name="outer &gt; inner" classname="ext:node" time="0.003" line="1" col="1">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="outer &gt; inner &gt; a &lt; b &amp; &quot;c&quot;" classname="ext:node" time="0.000" line="1" col="1">
            <failure message="1 !== 2">AssertionError: &lt;testcase name=&quot;no&quot;&gt;</failure>
        </testcase>
        <testcase name="outer &gt; left out" classname="ext:node" time="0.000" line="1" col="1">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;

const BUN = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" assertions="0" failures="1" skipped="1" time="0.1">
  <testsuite name="tests/a.test.ts" file="tests/a.test.ts" tests="4" failures="1" skipped="1" time="0.03">
    <testsuite name="outer" file="tests/a.test.ts" line="3" tests="3" failures="1" skipped="1" time="0.001">
      <testcase name="one" classname="outer" time="0.001" file="tests/a.test.ts" line="5" assertions="0" />
      <testsuite name="inner" file="tests/a.test.ts" line="7" tests="1" failures="1" skipped="0" time="0.004">
        <testcase name="a &lt; b &amp; &quot;c&quot;" classname="inner &gt; outer" time="0.004" file="tests/a.test.ts" line="7">
          <failure type="AssertionError" message="1 !== 2">AssertionError: 1 !== 2&#10;</failure>
        </testcase>
      </testsuite>
      <testcase name="left out" classname="outer" time="0" file="tests/a.test.ts" line="11" assertions="0">
        <skipped />
      </testcase>
    </testsuite>
    <testcase name="alone" classname="" time="0.0001" file="tests/a.test.ts" line="9" assertions="0" />
  </testsuite>
</testsuites>`;

describe("a runner's report", () => {
  const expected = [
    { name: "alone", outcome: "passed" },
    { name: 'outer > inner > a < b & "c"', outcome: "failed" },
    { name: "outer > left out", outcome: "skipped" },
    { name: "outer > one", outcome: "passed" },
  ];
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);

  it("gives Deno's tests, with the describes left out that it lists beside them", () => {
    assert.deepEqual(parseReport(DENO).sort(byName), expected);
  });

  it("gives the same tests from Bun, which nests them", () => {
    assert.deepEqual(parseReport(BUN).sort(byName), expected);
  });

  it("gives none when the runner died before it wrote any", () => {
    assert.deepEqual(parseReport(""), []);
  });
});

/** Reads a JUnit report of `deno test` or `bun test`: which tests ran, by full name, and how each ended. */

/** One test that a runner reports. */
export interface TestResult {
  /** Names of the enclosing `describe`s and of the test, joined by `" > "`. */
  name: string;
  outcome: "passed" | "failed" | "skipped";
}

const ELEMENT = /<(\/?)([a-z]+)((?:\s+[\w-]+="[^"]*")*)\s*(\/?)>/g;
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : parseInt(hex, 16));
  });
}

/**
 * The tests of a report, containers left out.
 *
 * Bun nests a `<testsuite>` for each `describe`; Deno lists `describe`s as test cases of their own, beside the tests in
 * them, so there a case is a container when another's name continues its own.
 */
export function parseReport(xml: string): TestResult[] {
  const cases: TestResult[] = [];
  const suites: string[] = [];
  let current: TestResult | undefined;
  for (const [, closing, element, attributes, empty] of xml.matchAll(ELEMENT)) {
    if (element === "testsuite") {
      if (closing) suites.pop();
      else if (!empty) suites.push(attribute(attributes, "name"));
    } else if (element === "testcase" && !closing) {
      // The outermost suite is the file.
      current = { name: [...suites.slice(1), attribute(attributes, "name")].join(" > "), outcome: "passed" };
      cases.push(current);
    } else if (current && !closing && (element === "failure" || element === "error")) current.outcome = "failed";
    else if (current && !closing && element === "skipped") current.outcome = "skipped";
  }
  const containers = new Set<string>();
  for (const { name } of cases) {
    for (let end = name.lastIndexOf(" > "); end > 0; end = name.lastIndexOf(" > ", end - 1)) containers.add(name.slice(0, end));
  }
  return cases.filter(({ name }) => !containers.has(name));
}

function attribute(attributes: string, name: string): string {
  const match = attributes.match(new RegExp(`\\s${name}="([^"]*)"`));
  return unescape(match?.[1] ?? "");
}

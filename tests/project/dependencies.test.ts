/** Dependencies are pinned, to the same versions for Deno and for Bun. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { readSources, ROOT } from "./sources.ts";

interface PackageJson {
  version: string;
  license: string;
  exports: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  trustedDependencies: string[];
}

interface DenoJson {
  version: string;
  license: string;
  exports: Record<string, string>;
  imports: Record<string, string>;
  allowScripts: { allow: string[]; deny: string[] };
}

const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");
const forBun = JSON.parse(read("package.json")) as PackageJson;
const forDeno = JSON.parse(read("deno.json")) as DenoJson;
/** What benchmarks install for themselves. */
const peers = JSON.parse(read("bench/peers/package.json")) as Pick<PackageJson, "dependencies">;

describe("deno.json and package.json", () => {
  it("name the same packages at the same versions", () => {
    const imports = Object.entries(forDeno.imports).filter(([, target]) => target.startsWith("npm:"));
    assert.deepEqual(
      Object.fromEntries(imports.map(([name, target]) => [name, target.replace(`npm:${name}@`, "")])),
      forBun.dependencies,
    );
    assert.deepEqual(forDeno.allowScripts.allow, forBun.trustedDependencies.map((name) => `npm:${name}@${forBun.devDependencies[name]}`));
  });

  it("pin every version", () => {
    for (const [name, version] of Object.entries({ ...forBun.dependencies, ...forBun.devDependencies, ...peers.dependencies })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name);
    }
  });

  it("agree on version, licence and exports", () => {
    assert.equal(forDeno.version, forBun.version);
    assert.equal(forDeno.license, forBun.license);
    assert.deepEqual(forDeno.exports, forBun.exports);
  });
});

describe("the dependencies", () => {
  it("are all used, and all that is used is among them", () => {
    const used = new Set<string>();
    for (const { path, imports } of readSources()) {
      for (const { specifier } of imports) {
        if (/^(\.|node:|onnxhub$)/.test(specifier)) continue;
        const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
        if (path.startsWith("bench/") && name in peers.dependencies) continue;
        used.add(name);
      }
    }
    // Optional, so in neither list; the rest are tools that no source imports.
    used.delete("onnxruntime-node");
    const tools = ["@types/node", "bun"];
    const named = Object.keys({ ...forBun.dependencies, ...forBun.devDependencies }).filter((name) => !tools.includes(name));
    assert.deepEqual([...used].sort(), named.sort());
  });

  it("are in both lock files, which name no host", () => {
    for (const file of ["deno.lock", "bun.lock"]) {
      const lock = read(file);
      for (const [name, version] of Object.entries({ ...forBun.dependencies, ...forBun.devDependencies })) {
        assert.ok(lock.includes(`${name}@${version}`), `${name}@${version} in ${file}`);
      }
      assert.doesNotMatch(lock, /https?:/, file);
    }
  });
});

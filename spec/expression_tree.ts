/** The syntax tree of a Jinja expression, for those who build something else out of it than a value. */

import { parse, tokenize } from "@huggingface/jinja";
import { OnnxHubError } from "../errors.ts";

/** A node of the tree, as far as arithmetic and calls go. */
export type ExpressionNode =
  | { readonly type: "IntegerLiteral" | "FloatLiteral"; readonly value: number }
  | { readonly type: "Identifier"; readonly value: string }
  | { readonly type: "UnaryExpression"; readonly operator: { readonly value: string }; readonly argument: ExpressionNode }
  | {
    readonly type: "BinaryExpression";
    readonly operator: { readonly value: string };
    readonly left: ExpressionNode;
    readonly right: ExpressionNode;
  }
  | { readonly type: "CallExpression"; readonly callee: ExpressionNode; readonly args: readonly ExpressionNode[] }
  | { readonly type: "KeywordArgumentExpression"; readonly key: { readonly value: string }; readonly value: ExpressionNode }
  | { readonly type: "MemberExpression" | "StringLiteral" | "Ternary" | "FilterExpression" | "TestExpression" };

/** Parses one expression (without the braces); throws "codegen/expression" where it isn't one. */
export function parseExpression(text: string, path: string): ExpressionNode {
  try {
    const { body } = parse(tokenize(`{{ ${text} }}`));
    if (body.length === 1) return body[0] as unknown as ExpressionNode;
  } catch (error) {
    throw new OnnxHubError("codegen/expression", "This is no expression", {
      path,
      expected: "Jinja's syntax, such as mean(square(y_true - y_pred), axis=-1)",
      // The parser's own text has a placeholder that it forgot to fill in.
      found: `${text} (${(error as Error).message.replace(/, got \$\{[^}]*\} instead.*/s, "")})`,
      cause: error,
    });
  }
  throw new OnnxHubError("codegen/expression", "This is more than one expression", { path, found: text });
}

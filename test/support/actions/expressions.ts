import { data, Evaluator, Lexer, Parser, wellKnownFunctions } from '@actions/expressions';
import type { FunctionDefinition } from '@actions/expressions/funcs/info';
import { convertToIfCondition } from '@actions/workflow-parser/model/converter/if-condition';
import { splitAllowedContext } from '@actions/workflow-parser/templates/allowed-context';
import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
import {
  isBasicExpression,
  isBoolean,
  isMapping,
  isNumber,
  isSequence,
  isString,
} from '@actions/workflow-parser/templates/tokens/type-guards';
import { type ParsedFile, UnsupportedError } from './files.ts';

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

/** What expressions at one place can see. */
export interface Scope {
  contexts: Record<string, Json>;
  /** Beside those that every expression has: `success`, `hashFiles` and so on, by their names in lower case. */
  functions?: Record<string, (...values: string[]) => Json>;
}

const toData = (value: Json): data.ExpressionData => JSON.parse(JSON.stringify(value), data.reviver);
const toJson = (value: data.ExpressionData): Json =>
  JSON.parse(JSON.stringify(value, data.replacer) ?? 'null');

/** The contexts of a scope, of which a missing one is no empty one. */
class Contexts extends data.Dictionary {
  override get(name: string): data.ExpressionData {
    const value = super.get(name);
    if (value === undefined) throw new UnsupportedError(`the executor has no context ${name} here`);
    return value;
  }
}

class Functions extends Map<string, FunctionDefinition> {
  override get(name: string): FunctionDefinition {
    const found = super.get(name) ?? wellKnownFunctions[name];
    if (!found) throw new UnsupportedError(`the executor has no function ${name} here`);
    return found;
  }
}

/** Evaluates with GitHub's own package, and only what GitHub's schema lets an expression at this place see. */
function evaluateExpression(expression: string, token: TemplateToken, scope: Scope): Json {
  const { namedContexts, functions } = splitAllowedContext(token.definitionInfo?.allowedContext ?? []);
  const tree = new Parser(new Lexer(expression).lex().tokens, namedContexts, functions).parse();
  const contexts = new Contexts(
    ...Object.entries(scope.contexts).map(([key, value]) => ({ key, value: toData(value) })),
  );
  const own = new Functions(
    Object.entries(scope.functions ?? {}).map(([name, call]) => [
      name,
      {
        name,
        minArgs: 0,
        maxArgs: Number.MAX_SAFE_INTEGER,
        call: (...values) => toData(call(...values.map((value) => value.coerceString()))),
      },
    ]),
  );
  return toJson(new Evaluator(tree, contexts, own).evaluate());
}

/** The value of a token, with all its expressions evaluated. Throws for what cannot be evaluated. */
export function evaluate(token: TemplateToken, scope: Scope): Json {
  if (isBasicExpression(token)) return evaluateExpression(token.expression, token, scope);
  if (isString(token) || isNumber(token) || isBoolean(token)) return token.value;
  if (isSequence(token)) return [...token].map((item) => evaluate(item, scope));
  if (isMapping(token)) {
    return Object.fromEntries(
      [...token].map(({ key, value }) => [text(evaluate(key, scope)), evaluate(value, scope)]),
    );
  }
  if (token.isLiteral) return null;
  throw new UnsupportedError(`the executor does not know ${token.typeName()}`);
}

/** A value as GitHub puts it into a string: into a variable of the environment, for example. */
export function text(value: Json): string {
  return toData(value).coerceString();
}

/** The text of a token, or undefined where there is none. */
export function evaluateText(token: TemplateToken | undefined, scope: Scope): string | undefined {
  return token && text(evaluate(token, scope));
}

/** The variables of an `env:`, or the inputs of a `with:`; none where there is no token. */
export function evaluateTexts(token: TemplateToken | undefined, scope: Scope): Record<string, string> {
  const values = token ? evaluate(token, scope) : {};
  if (values === null || typeof values !== 'object' || Array.isArray(values)) {
    throw new UnsupportedError('a mapping was expected');
  }
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value)]));
}

/** Whether a value counts as true in a condition. */
export function isTruthy(value: Json): boolean {
  return value !== null && value !== false && value !== 0 && value !== '';
}

/** Whether an `if:` holds. One that names no status function, or that is not there, asks for success as well. */
export function holds(token: TemplateToken | undefined, file: ParsedFile, scope: Scope): boolean {
  if (!token) return isTruthy(scope.functions?.success?.() ?? true);
  const condition = convertToIfCondition(file.context, token);
  if (!condition) throw new UnsupportedError(`${file.path}: an if: that cannot be read`);
  return isTruthy(evaluateExpression(condition.expression, condition, scope));
}

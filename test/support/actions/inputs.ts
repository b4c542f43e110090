import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
import type { Event } from './events.ts';
import { triggersOf } from './events.ts';
import {
  evaluate,
  evaluateText,
  isTruthy,
  type Json,
  type JsonObject,
  type Scope,
  text,
} from './expressions.ts';
import { entries, fields, type ParsedFile, UnsupportedError } from './files.ts';

interface Definition {
  required: boolean;
  type: string;
  value: Json | undefined;
  options: Json[];
}

function definitionsOf(file: ParsedFile, event: 'workflow_dispatch' | 'workflow_call', scope: Scope) {
  const on = entries(file.root, file.path).get('on') as TemplateToken;
  const own = entries(on, `on of ${file.path}`).get(event);
  const inputs = own && !own.isScalar ? entries(own, event).get('inputs') : undefined;
  const found = new Map<string, Definition>();
  for (const [name, token] of entries(inputs, `the inputs of ${file.path}`)) {
    const names = ['description', 'required', 'default', 'type', 'options'] as const;
    const { required, default: value, type, options } = fields(token, `the input ${name}`, names);
    found.set(name, {
      required: required !== undefined && isTruthy(evaluate(required, scope)),
      type: evaluateText(type, scope) ?? 'string',
      value: value && evaluate(value, scope),
      options: (options && (evaluate(options, scope) as Json[])) ?? [],
    });
  }
  return found;
}

function check(name: string, { type, options }: Definition, value: Json): Json {
  const refuse = () => {
    throw new UnsupportedError(`the input ${name} is ${JSON.stringify(value)}, which is no ${type}`);
  };
  switch (type) {
    case 'string':
    case 'environment':
      return text(value);
    case 'boolean':
      return value === true || value === 'true'
        ? true
        : value === false || value === 'false'
          ? false
          : refuse();
    case 'number':
      return Number.isNaN(Number(value)) ? refuse() : Number(value);
    case 'choice':
      return options.includes(value) ? value : refuse();
    default:
      throw new UnsupportedError(`the executor does not know inputs of the type ${type}`);
  }
}

function filled(definitions: Map<string, Definition>, given: JsonObject): JsonObject {
  for (const name of Object.keys(given)) {
    if (!definitions.has(name)) throw new UnsupportedError(`the workflow has no input ${name}`);
  }
  const inputs: JsonObject = {};
  for (const [name, definition] of definitions) {
    const { required, type, value, options } = definition;
    if (given[name] === undefined && required && value === undefined) {
      throw new UnsupportedError(`the input ${name} is required`);
    }
    const nothing = { boolean: false, number: 0, choice: options[0] ?? '' }[type] ?? '';
    inputs[name] = check(name, definition, given[name] ?? value ?? nothing);
  }
  return inputs;
}

/** The context `inputs` of a workflow that was started by hand; empty for other events. Throws for wrong inputs. */
export function dispatchInputs(file: ParsedFile, event: Event): JsonObject {
  if (event.name !== 'workflow_dispatch') return {};
  if (!('workflow_dispatch' in triggersOf(file)))
    throw new UnsupportedError(`${file.path} cannot be dispatched`);
  return filled(
    definitionsOf(file, 'workflow_dispatch', { contexts: {} }),
    event.payload.inputs as JsonObject,
  );
}

/** The context `inputs` of a workflow that another one calls. Throws for wrong inputs. */
export function callInputs(file: ParsedFile, given: JsonObject, scope: Scope): JsonObject {
  if (!('workflow_call' in triggersOf(file))) throw new UnsupportedError(`${file.path} cannot be called`);
  return filled(definitionsOf(file, 'workflow_call', scope), given);
}

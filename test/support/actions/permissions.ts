import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
import { evaluate } from './expressions.ts';
import { UnsupportedError } from './files.ts';

export type Permissions = Record<string, 'read' | 'write'>;

/**
 * What a job's token may do. Without `permissions:` it would be what the repository's settings say, which a workflow
 * should not leave to them.
 */
export function permissionsOf(
  job: TemplateToken | undefined,
  workflow: TemplateToken | undefined,
  { fork = false } = {},
): Permissions {
  const token = job ?? workflow;
  if (!token) throw new UnsupportedError('neither the job nor its workflow says what its token may do');
  const value = evaluate(token, { contexts: {} });
  if (value === null || typeof value !== 'object') {
    throw new UnsupportedError(`the executor does not know the permissions ${JSON.stringify(value)}`);
  }
  const granted = Object.entries(value).filter(([, level]) => level !== 'none') as [
    string,
    'read' | 'write',
  ][];
  return Object.fromEntries(granted.map(([name, level]) => [name, fork ? 'read' : level]));
}

/** Throws where a called workflow asks for more than its caller has: GitHub does not start such a run. */
export function requireWithin(asked: Permissions, granted: Permissions, who: string): void {
  for (const [name, level] of Object.entries(asked)) {
    if (granted[name] === 'write' || granted[name] === level) continue;
    throw new UnsupportedError(
      `${who} asks for ${name}: ${level}, and its caller has ${granted[name] ?? 'none'}`,
    );
  }
}

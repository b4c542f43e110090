import type { Environment } from './project.ts';

/** One folder of `templates/` and the directory of the rendered project that it becomes. */
export interface Layer {
  name: string;
  /** Relative to the project root. */
  destination: string;
}

/** The layers that make a project, without those of its environments. */
export const projectLayers: readonly Layer[] = [
  { name: 'django', destination: '.' },
  { name: 'ansible', destination: '.ansible' },
  { name: 'github', destination: '.github' },
];

/** The layer that one environment adds. */
export function environmentLayer(environment: Environment): Layer {
  return { name: 'environment', destination: `.ansible/inventory/${environment.name}` };
}

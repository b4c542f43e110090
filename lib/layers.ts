import { defaultEnvironment, type Environment } from './project.ts';

/** One folder of `templates/` and the directory of the rendered project that it becomes. */
export interface Layer {
  name: string;
  /** Relative to the project root. */
  destination: string;
  /** Names that files get in place of their own. */
  renamed?: Readonly<Record<string, string>>;
}

/** The layers that make a project, without those of its environments. */
export const projectLayers: readonly Layer[] = [
  { name: 'django', destination: '.' },
  { name: 'ansible', destination: '.ansible' },
  { name: 'github', destination: '.github' },
];

/** The layers that one environment adds. */
export function environmentLayers({ name }: Environment): Layer[] {
  return [
    { name: 'environment', destination: `.ansible/inventory/${name}` },
    {
      name: 'deploy-workflow',
      destination: '.github/workflows',
      ...(name !== defaultEnvironment && { renamed: { 'deploy.yml': `deploy-${name}.yml` } }),
    },
  ];
}

import { defaultEnvironment, type Environment, type Project } from './project.ts';

/** One folder of `templates/` and the directory of the rendered project that it becomes. */
export interface Layer {
  name: string;
  /** Relative to the project root. */
  destination: string;
  /** Names that files get in place of their own. */
  renamed?: Readonly<Record<string, string>>;
}

/** The layers that make a project, without those of its environments. */
export function projectLayers({ github }: Pick<Project, 'github'>): Layer[] {
  return [
    { name: 'django', destination: '.' },
    { name: 'ansible', destination: '.ansible' },
    { name: 'github', destination: '.github' },
    { name: `lint-by-${github.linter}`, destination: '.github/workflows' },
  ];
}

/** The layers that one environment adds. */
export function environmentLayers({ name }: Environment): Layer[] {
  const workflows = ['deploy', 'check', 'plan'].map((file) => [`${file}.yml`, `${file}-${name}.yml`]);
  return [
    { name: 'environment', destination: `.ansible/inventory/${name}` },
    {
      name: 'environment-workflows',
      destination: '.github/workflows',
      ...(name !== defaultEnvironment && { renamed: Object.fromEntries(workflows) }),
    },
  ];
}

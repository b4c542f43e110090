import { readdirSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, posix, relative, sep } from 'node:path';
import ejs from 'ejs';
import { action } from './actions.ts';
import { publicKeyList } from './ansible/deploy-public-keys.ts';
import { encoders } from './encoders.ts';
import {
  deploymentSettingsTable,
  jumpHostAuthorizedKeys,
  prefixedName,
  workflowSettings,
} from './github/deployment-settings.ts';
import { deployTrigger, describeDeployTrigger, longLivedBranches } from './github/flow.ts';
import { environmentLayers, type Layer, projectLayers } from './layers.ts';
import { layerPath, packageRoot } from './paths.ts';
import {
  defaultEnvironment,
  type Environment,
  type Environments,
  environmentGroup,
  type Project,
} from './project.ts';
import { gobootVersion } from './version.ts';

/** A file of the rendered project. */
export interface RenderedFile {
  /** Relative to the project root, with forward slashes. */
  path: string;
  contents: Buffer;
  /** Permission bits, taken from the template. */
  mode: number;
}

export interface RenderOptions {
  /** The public keys that may release each environment's site, as lines of authorized_keys. */
  deployPublicKeys?: Readonly<Record<string, readonly string[]>>;
}

const templateSuffix = '.ejs';

// npm leaves a file of this name out of a package, and reads it as an ignore list of its own.
const renamedFiles = new Map([['_gitignore', '.gitignore']]);

// What Python tools leave beside the files that they were pointed at.
const leftovers = new Set(['__pycache__', '.ruff_cache', '.ansible']);

function destinationOf(path: string, layer: Layer, project: Project): string {
  const segments = path.split(sep).map((segment) => {
    const name = segment.endsWith(templateSuffix) ? segment.slice(0, -templateSuffix.length) : segment;
    if (name === 'project_name') return project.name;
    return layer.renamed?.[name] ?? renamedFiles.get(name) ?? name;
  });
  return posix.normalize(posix.join(layer.destination, ...segments));
}

function templateFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split(sep).some((segment) => leftovers.has(segment)))
    .sort();
}

async function renderLayer(
  layer: Layer,
  project: Project,
  environment: Environment,
  { environments, deployPublicKeys = {} }: RenderOptions & { environments: readonly Environment[] },
): Promise<RenderedFile[]> {
  const directory = layerPath(layer.name);
  const settings = workflowSettings(environment.name);
  const data = {
    ...encoders,
    action,
    project,
    environment,
    environmentGroup: environmentGroup(environment.name),
    isProduction: environment.name === defaultEnvironment,
    otherEnvironments: environments.filter((other) => other !== environment),
    gobootVersion,
    settings,
    deploySettings: Object.values(settings).filter(({ usedBy }) => usedBy === 'deploys'),
    trigger: deployTrigger(project.github.flow, environment.name),
    deployments: environments.map(({ name }) => ({
      name,
      words: describeDeployTrigger(deployTrigger(project.github.flow, name)),
    })),
    branches: longLivedBranches(
      project.github.flow,
      environments.map(({ name }) => name),
    ),
    settingsTable: deploymentSettingsTable(),
    prefix: prefixedName(environment.name, ''),
    jumpHostKeys: jumpHostAuthorizedKeys(environment, 'ssh-ed25519 …'),
    deployPublicKeys: publicKeyList(deployPublicKeys[environment.name] ?? []),
  };
  return Promise.all(
    templateFiles(directory).map(async (path) => {
      const source = join(directory, path);
      const [contents, { mode }] = await Promise.all([readFile(source), stat(source)]);
      return {
        path: destinationOf(path, layer, project),
        mode: mode & 0o777,
        contents: path.endsWith(templateSuffix)
          ? Buffer.from(
              ejs.render(contents.toString('utf8'), data, {
                filename: relative(packageRoot, source),
                escape: String,
              }),
            )
          : contents,
      };
    }),
  );
}

/**
 * Renders every file of a project with its environments, sorted by layer and path. The first environment is the one
 * that the project's own documents tell of. Pure: nothing is written.
 *
 * Throws when a template names a value that does not exist, with the template's line.
 */
export async function renderProject(
  project: Project,
  environments: Environments,
  options: RenderOptions = {},
): Promise<RenderedFile[]> {
  const [first] = environments;
  const layers = [
    ...projectLayers(project).map((layer) => ({ layer, environment: first })),
    ...environments.flatMap((environment) =>
      environmentLayers(environment).map((layer) => ({ layer, environment })),
    ),
  ];
  const rendered = await Promise.all(
    layers.map(({ layer, environment }) =>
      renderLayer(layer, project, environment, { ...options, environments }),
    ),
  );
  return rendered.flat();
}

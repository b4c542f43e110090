import { type Environment, type Project, projectTitle, siteName } from '../../lib/project.ts';

/** A project as the renderer takes it. */
export function sampleProject(name = 'shop'): Project {
  return {
    name,
    title: projectTitle(name),
    authorName: 'Sample Author',
    authorEmail: 'author@example.com',
    github: { visibility: 'private', flow: 'trunk', linter: 'pre-commit' },
  };
}

/** Another environment of it, on the same host unless said otherwise. */
export function sampleStaging(overrides: Partial<Environment> = {}, project = 'shop'): Environment {
  return sampleEnvironment(
    {
      name: 'staging',
      site: siteName(project, 'staging'),
      domain: 'staging.shop.example.com',
      www: 'none',
      ...overrides,
    },
    project,
  );
}

/** Its production environment. */
export function sampleEnvironment(overrides: Partial<Environment> = {}, project = 'shop'): Environment {
  return {
    name: 'production',
    site: siteName(project, 'production'),
    domain: 'shop.example.com',
    www: 'redirect',
    host: { address: '192.0.2.10', user: 'admin', port: 22 },
    ...overrides,
  };
}

import { deploymentSettingsTable } from '../lib/github/deployment-settings.ts';
import { withSection } from './marked-section.ts';

const marks = { start: '<!-- settings: made by npm run update:docs -->', end: '<!-- /settings -->' };

/** docs/github.md with its table of secrets and variables made anew. Throws when the place is not marked. */
export function withSettings(document: string): string {
  return withSection(document, marks, deploymentSettingsTable());
}

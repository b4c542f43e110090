import { deploymentSettingsTable } from '../lib/github/deployment-settings.ts';
import { tokenNeedsTable } from '../lib/github/token.ts';
import { withSection } from './marked-section.ts';

const settings = { start: '<!-- settings: made by npm run update:docs -->', end: '<!-- /settings -->' };
const token = { start: '<!-- token: made by npm run update:docs -->', end: '<!-- /token -->' };

/** docs/github.md with its tables made anew. Throws when their places are not marked. */
export function withTables(document: string): string {
  return withSection(withSection(document, settings, deploymentSettingsTable()), token, tokenNeedsTable());
}

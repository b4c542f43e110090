// Writes the table of secrets and variables into docs/github.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../lib/paths.ts';
import { withSettings } from './github-settings.ts';

const path = join(packageRoot, 'docs', 'github.md');
writeFileSync(path, withSettings(readFileSync(path, 'utf8')));

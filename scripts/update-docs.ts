// Writes the table of secrets and variables into docs/github.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../lib/paths.ts';
import { withTables } from './github-settings.ts';

const path = join(packageRoot, 'docs', 'github.md');
writeFileSync(path, withTables(readFileSync(path, 'utf8')));

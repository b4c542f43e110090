// Writes the table of options into README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../lib/paths.ts';
import { withOptions } from './readme-options.ts';

const path = join(packageRoot, 'README.md');
writeFileSync(path, withOptions(readFileSync(path, 'utf8')));

// Prints the report card of a freshly provisioned host, and writes it into docs/report-card.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../lib/paths.ts';
import { rehearsalSystemNames } from '../lib/rehearsal/operating-systems.ts';
import { withSection } from './marked-section.ts';
import { examine } from './report-card/examine.ts';
import { shortcomings } from './report-card/limits.ts';
import { cardMarks, cardText } from './report-card/markdown.ts';

const usage = `npm run report-card [-- --os SYSTEM] [-- --no-write]

  --os SYSTEM  ${rehearsalSystemNames.join(' or ')}; debian13 unless given
  --no-write   leave docs/report-card.md as it is

Needs root, and about ten minutes. Exit status 1: something is not as it must be.`;

function refuse(reason: string): never {
  console.error(`${reason}\n\n${usage}`);
  process.exit(2);
}

const options = (() => {
  try {
    return parseArgs({
      options: {
        os: { type: 'string', default: 'debian13' },
        write: { type: 'boolean', default: true },
        help: { type: 'boolean', default: false },
      },
      allowNegative: true,
    }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
})();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
const os = rehearsalSystemNames.find((name) => name === options.os);
if (!os) refuse(`The operating system ${JSON.stringify(options.os)} is not known`);
if (process.getuid?.() !== 0) refuse('This needs root, for throwaway hosts');

const begun = Date.now();
const found = await examine(os, (text) => {
  console.error(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}`);
});
const card = cardText(found, new Date().toISOString().slice(0, 10));
console.log(card);
if (options.write) {
  const path = join(packageRoot, 'docs', 'report-card.md');
  writeFileSync(path, withSection(readFileSync(path, 'utf8'), cardMarks(found), card));
}
const problems = shortcomings(found);
for (const problem of problems) console.error(`PROBLEM: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

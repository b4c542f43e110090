import { commonSwitches, questions, type Switch, switches } from '../lib/questions.ts';
import { withSection } from './marked-section.ts';

const marks = { start: '<!-- options: made by npm run update:readme -->', end: '<!-- /options -->' };

/** The switches of `yo goboot` in the order of its help. */
const ownSwitches: Switch[] = [
  switches.yes,
  switches.answers,
  switches.check,
  switches.ignoreCheck,
  switches.dryRun,
  switches.skipDeploy,
  switches.force,
  ...Object.values(commonSwitches),
];

function row(flag: string, short: string | undefined, value: string, description: string): string {
  const forms = [short && `\`-${short}\``, `\`--${flag}${value}\``].filter(Boolean).join(', ');
  return `| ${forms} | ${description} |`;
}

/** The README with its table of options made anew from the table of questions. Throws when the place is not marked. */
export function withOptions(readme: string): string {
  const rows = [
    ...questions.flatMap(({ flag, short, description }) =>
      flag ? [row(flag, short, ` ${flag.toUpperCase().replaceAll('-', '_')}`, description)] : [],
    ),
    ...ownSwitches.map(({ flag, short, value, description }) =>
      row(flag, short, value ? ` ${value}` : '', description),
    ),
  ];
  return withSection(readme, marks, ['| option | meaning |', '|---|---|', ...rows].join('\n'));
}

import { commonSwitches, projectSwitches, questions, type Switch } from '../lib/questions.ts';
import { withSection } from './marked-section.ts';

const marks = { start: '<!-- options: made by npm run update:readme -->', end: '<!-- /options -->' };

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
    ...[...projectSwitches, ...Object.values<Switch>(commonSwitches)].map(
      ({ flag, short, value, description }) => row(flag, short, value ? ` ${value}` : '', description),
    ),
  ];
  return withSection(readme, marks, ['| option | meaning |', '|---|---|', ...rows].join('\n'));
}

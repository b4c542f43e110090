/** One line of the table: a figure of goboot beside its reference, each measured as often as there were runs. */
export interface Line {
  what: string;
  goboot: Figures;
  /** What the reference is, in a few words. */
  than?: string;
  reference?: Figures;
}

export interface Figures {
  values: readonly number[];
  unit: 's' | 'ms' | '';
}

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

function format({ values, unit }: Figures): string {
  if (values.length === 0) return 'not measured';
  const one = (value: number) =>
    unit === 's' ? value.toFixed(value < 10 ? 2 : 1) : String(Math.round(value));
  const suffix = unit && ` ${unit}`;
  const all = values.length > 1 ? ` (${values.map(one).join(', ')})` : '';
  return `${one(median(values))}${suffix}${all}`;
}

function ratio({ goboot, reference }: Line): string {
  if (!reference) return '';
  const value = median(goboot.values) / median(reference.values);
  return Number.isFinite(value) ? `${value.toFixed(2)} ×` : '';
}

/** The lines as a table in Markdown: medians, and all values where there are several. */
export function markdownTable(lines: readonly Line[]): string {
  const rows = [
    ['what', 'goboot', 'reference', 'the reference is', 'goboot / reference'],
    ['---', '---', '---', '---', '---'],
    ...lines.map((line) => [
      line.what,
      format(line.goboot),
      line.reference ? format(line.reference) : '',
      line.than ?? '',
      ratio(line),
    ]),
  ];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The comments between which a document holds what a script makes. */
export interface Marks {
  start: string;
  end: string;
}

/** A document with everything between the marks made anew. Throws when the place is not marked. */
export function withSection(document: string, { start, end }: Marks, body: string): string {
  const [before, rest] = document.split(start);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`There is no ${start} … ${end}`);
  return `${before}${start}\n${body}\n${end}${after}`;
}

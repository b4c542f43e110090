import { styleText } from 'node:util';

/** Gives a text a colour or another style where the output is a terminal whose user wants that. */
export function colored(style: Parameters<typeof styleText>[0], text: string): string {
  // styleText of Node 20 does not look at these conventions itself.
  if (process.env.NO_COLOR || !process.stdout.isTTY) return text;
  return styleText(style, text);
}

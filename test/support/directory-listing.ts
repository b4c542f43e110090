import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What is in a directory: a description of every entry by its path. Two listings are equal when nothing was added,
 * removed, changed or written again in between.
 */
export function listDirectory(
  directory: string,
  isIgnored: (path: string) => boolean = () => false,
): Record<string, string> {
  const listing: Record<string, string> = {};
  const visit = (below: string) => {
    for (const name of readdirSync(join(directory, below)).sort()) {
      const path = join(below, name);
      if (isIgnored(path)) continue;
      const absolute = join(directory, path);
      const stats = lstatSync(absolute);
      const permissions = (stats.mode & 0o7777).toString(8);
      if (stats.isDirectory()) {
        listing[path] = `directory ${permissions}`;
        visit(path);
      } else if (stats.isSymbolicLink()) listing[path] = `link to ${readlinkSync(absolute)}`;
      else if (stats.isFile()) {
        const digest = createHash('sha256').update(readFileSync(absolute)).digest('hex').slice(0, 16);
        listing[path] = `file ${permissions} ${stats.mtimeMs} ${digest}`;
      } else listing[path] = 'special file';
    }
  };
  visit('');
  return listing;
}

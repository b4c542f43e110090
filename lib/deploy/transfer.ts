import { Readable } from 'node:stream';
import { GobootError } from '../errors.ts';
import type { SshConnection, StreamResult } from '../ssh/connection.ts';
import { shellWord } from './release-command.ts';

/** A site's host and the name of the site there. */
export interface SiteHost {
  connection: SshConnection;
  site: string;
  /** For messages. */
  address: string;
}

/** A shell script that runs as root on a host, with its arguments. */
function asRoot(script: string, ...words: string[]): string {
  return ['sudo', '-n', 'bash', '-c', script, 'bash', ...words].map(shellWord).join(' ');
}

/** Runs a script as root and returns what it prints. Throws a GobootError with its last word when it fails. */
export async function runAsRoot(
  { connection, address }: SiteHost,
  purpose: string,
  script: string,
  words: readonly string[] = [],
  input = '',
): Promise<string> {
  const { exitCode, stdout, stderr } = await connection.execute(asRoot(script, ...words), input);
  if (exitCode === 0) return stdout;
  throw failed(purpose, address, { exitCode, stderr });
}

function failed(purpose: string, address: string, { exitCode, stderr, connectionError }: StreamResult) {
  if (connectionError) return connectionError;
  const said = stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`;
  return new GobootError(`${purpose} failed on ${address}: ${said}`, {
    remedy: 'What was sent already counts: the same command with --resume goes on.',
  });
}

/**
 * Sends what a script prints on one host to a script on another one, both as root, through this computer's memory: none
 * of it gets to its disk. Returns the number of bytes. Throws a GobootError when one of them fails.
 */
async function sendBetween(
  purpose: string,
  from: SiteHost & { script: string; words: readonly string[]; input?: string },
  to: SiteHost & { script: string; words: readonly string[] },
): Promise<number> {
  const source = from.connection.pipe(
    asRoot(from.script, ...from.words),
    from.input === undefined ? undefined : Readable.from(Buffer.from(from.input)),
  );
  let bytes = 0;
  source.output.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const target = to.connection.pipe(asRoot(to.script, ...to.words), source.output);
  target.output.resume();
  const [sent, received] = await Promise.all([source.done, target.done]);
  // Whoever lost the other one has less to tell.
  if (sent.exitCode !== 0) throw failed(purpose, from.address, sent);
  if (received.exitCode !== 0) throw failed(purpose, to.address, received);
  return bytes;
}

// Lists first: tar would go on with what is left when a name is missing.
const packCertificates = `set -euo pipefail
cd /etc/letsencrypt
shopt -s nullglob
paths=()
for name in "$1" "$1-www"; do
  [ -e "live/$name/fullchain.pem" ] && [ -e "renewal/$name.conf" ] || continue
  paths+=("live/$name" "archive/$name" "renewal/$name.conf")
  account=$(sed -n 's/^account *= *//p' "renewal/$name.conf")
  [ -z "$account" ] || paths+=($(find accounts -type d -name "$account"))
done
tar -cf - "\${paths[@]}"`;

const hasCertificates = `test -e "/etc/letsencrypt/live/$1/fullchain.pem" && test -e "/etc/letsencrypt/renewal/$1.conf" && echo yes || true`;

// An account of the host's own for the same authority stays the only one: with two of them certbot would ask which to use.
const unpackCertificates = `set -euo pipefail
umask 077
root=/etc/letsencrypt
arriving=$root/.arriving
[ -d "$root" ] || mkdir -m 755 "$root"
rm -rf "$arriving"
mkdir "$arriving"
tar -xf - -C "$arriving" --no-same-owner
cd "$arriving"
shopt -s nullglob globstar
for registration in accounts/**/private_key.json; do
  account=\${registration%/private_key.json}
  server=\${account%/*}
  own=("$root/$server"/*/private_key.json)
  if [ \${#own[@]} -gt 0 ]; then
    id=$(basename "\${own[0]%/private_key.json}")
    sed -i "s/^account *=.*/account = $id/" renewal/*.conf
  else
    mkdir -p "$root/$server"
    mv "$account" "$root/$server/"
  fi
done
for path in archive/* live/* renewal/*; do
  mkdir -p "$root/\${path%/*}"
  rm -rf "\${root:?}/$path"
  mv "$path" "$root/$path"
done
rm -rf "$arriving"`;

/**
 * Takes the certificates of a site, with what renews them, from one host to another: HTTPS is trusted there from the
 * first moment, although the authority could not find it yet. Returns false where there is none of an authority.
 */
export async function sendCertificates(from: SiteHost, to: SiteHost): Promise<boolean> {
  const purpose = 'To send the certificate';
  if (!(await runAsRoot(from, purpose, hasCertificates, [from.site])).trim()) return false;
  await sendBetween(
    purpose,
    { ...from, script: packCertificates, words: [from.site] },
    { ...to, script: unpackCertificates, words: [] },
  );
  return true;
}

const repository = (site: string) => `/var/backups/${site}/repository`;

const listRepository = `cd "$1" 2>/dev/null || exit 0
find config keys data index snapshots -type f -printf '%p %s\\n'
test ! -e config || printf 'config-digest %s\\n' "$(sha256sum < config | cut -d ' ' -f 1)"`;

interface Listing {
  /** Sizes by path. */
  files: Map<string, number>;
  /** Which repository it is. */
  digest: string;
}

async function listingOf(host: SiteHost): Promise<Listing> {
  const text = await runAsRoot(host, 'To list the backups', listRepository, [repository(host.site)]);
  const rows = text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' ') as [string, string]);
  return {
    files: new Map(
      rows.filter(([name]) => name !== 'config-digest').map(([name, size]) => [name, Number(size)]),
    ),
    digest: rows.find(([name]) => name === 'config-digest')?.[1] ?? '',
  };
}

// Whoever reads a snapshot finds what it is made of: that comes first.
const order = ['keys/', 'data/', 'index/', 'snapshots/', 'config'];
const rank = (path: string) => order.findIndex((beginning) => path.startsWith(beginning));

/** The files of a repository that another one lacks, or has in part, in the order in which they may come. */
export function missingFiles(from: Listing['files'], to: Listing['files']): string[] {
  return [...from.keys()]
    .filter((path) => to.get(path) !== from.get(path))
    .sort((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
}

// Nobody may prune what is being read.
const packRepository = `set -euo pipefail
exec 9>>"/run/$1-backup.lock"
flock --wait 600 9
tar -C "$2" -cf - --verbatim-files-from --files-from=-`;

const unpackRepository = `set -euo pipefail
umask 077
exec 9>>"/run/$1-backup.lock"
flock --wait 600 9
mkdir -p "$2"
tar -xf - -C "$2" --no-same-owner`;

const emptyRepository = `set -euo pipefail
exec 9>>"/run/$1-backup.lock"
flock --wait 600 9
find "$2" -mindepth 1 -delete`;

/**
 * Makes the backups of a site on one host those of another host, encrypted as they are: only what is missing there is
 * sent. Returns the number of bytes.
 *
 * Throws a GobootError where the other host has backups of its own of a site of that name.
 */
export async function sendBackups(from: SiteHost, to: SiteHost): Promise<number> {
  const [here, there] = await Promise.all([listingOf(from), listingOf(to)]);
  const words = [to.site, repository(to.site)];
  let known = there.files;
  if (there.digest && there.digest !== here.digest) {
    if ([...known.keys()].some((path) => path.startsWith('snapshots/'))) {
      throw new GobootError(`${to.address} has backups of its own of a site ${to.site}`, {
        remedy: `If nobody needs them, as root there: rm -r ${repository(to.site)}`,
      });
    }
    // It was made by provisioning, and holds nothing.
    await runAsRoot(to, 'To make room for the backups', emptyRepository, words);
    known = new Map();
  }
  const missing = missingFiles(here.files, known);
  if (missing.length === 0) return 0;
  return sendBetween(
    'To send the backups',
    {
      ...from,
      script: packRepository,
      words: [from.site, repository(from.site)],
      input: `${missing.join('\n')}\n`,
    },
    { ...to, script: unpackRepository, words },
  );
}

/** Bytes of what belongs to a site on its host. */
export interface SiteSizes {
  database: number;
  media: number;
  backups: number;
}

const measure = `size() { { du -sb "$1" 2>/dev/null || echo 0; } | cut -f 1; }
echo "media $(size "/srv/$1/media/")"
echo "backups $(size "/var/backups/$1/repository")"
cd /
echo "database $(runuser --user postgres -- psql --no-psqlrc --no-align --tuples-only --set site="$1" \\
  <<<"select coalesce((select pg_database_size(datname) from pg_database where datname = :'site'), 0)")"`;

/** How large the data of a site is. */
export async function sizesOf(host: SiteHost): Promise<SiteSizes> {
  const text = await runAsRoot(host, 'To measure the data', measure, [host.site]);
  const sizes = Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => line.split(' ')),
  ) as Record<string, string>;
  const number = (name: string) => Number(sizes[name]) || 0;
  return { database: number('database'), media: number('media'), backups: number('backups') };
}

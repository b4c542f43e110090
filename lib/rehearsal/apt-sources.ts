/** One line of an apt source: where it is and what it offers. */
export interface AptSource {
  uri: string;
  suite: string;
  components: string[];
}

/** Debian's archive and its security archive, as this computer reaches them. */
export interface DebianMirrors {
  archive: string;
  security: string;
}

function parseOneLine(line: string): AptSource[] {
  const [type, ...rest] = line
    .replace(/#.*/, '')
    .replace(/\[[^\]]*\]/, ' ')
    .trim()
    .split(/\s+/);
  const [uri, suite, ...components] = rest;
  return type === 'deb' && uri && suite ? [{ uri, suite, components }] : [];
}

function parseStanza(stanza: string): AptSource[] {
  const fields = new Map<string, string[]>();
  let values: string[] = [];
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const [, name, rest] = /^([A-Za-z-]+):(.*)$/.exec(line) ?? [];
    if (name) {
      values = [];
      fields.set(name.toLowerCase(), values);
    }
    values.push(...(rest ?? line).trim().split(/\s+/).filter(Boolean));
  }
  if (!fields.get('types')?.includes('deb')) return [];
  if (fields.get('enabled')?.[0]?.toLowerCase() === 'no') return [];
  const components = fields.get('components') ?? [];
  return (fields.get('uris') ?? []).flatMap((uri) =>
    (fields.get('suites') ?? []).map((suite) => ({ uri, suite, components })),
  );
}

/** Reads the text of an apt sources file, `.sources` (deb822) or `.list` (one line each). */
export function parseAptSources(text: string, format: 'deb822' | 'list'): AptSource[] {
  return format === 'list'
    ? text.split('\n').flatMap(parseOneLine)
    : text.split(/\n\s*\n/).flatMap(parseStanza);
}

const debianSuite = /^(?:(?:old)*stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke)\b/;

/**
 * The Debian mirrors among a computer's apt sources; nothing unless both archives are there.
 *
 * A mirror of Ubuntu or of a vendor's packages holds no Debian, so only sources count that name a suite of
 * Debian and offer `main`, over HTTP: a container sees neither the computer's disks nor its `localhost`.
 */
export function debianMirrors(sources: AptSource[]): DebianMirrors | undefined {
  const usable = sources.filter(
    ({ uri, suite, components }) =>
      /^https?:\/\/(?!localhost\b|127\.)/.test(uri) && debianSuite.test(suite) && components.includes('main'),
  );
  const security = usable.find(({ suite }) => /-security$|\/updates$/.test(suite))?.uri;
  const archive = usable.find(({ suite }) => !/[-/]/.test(suite))?.uri;
  return archive && security ? { archive, security } : undefined;
}

/** The sources of a fresh Debian host: the suite, its updates and its security updates. */
export function hostSources(mirrors: DebianMirrors, suite: string): AptSource[] {
  return [
    { uri: mirrors.archive, suite, components: ['main'] },
    { uri: mirrors.archive, suite: `${suite}-updates`, components: ['main'] },
    { uri: mirrors.security, suite: `${suite}-security`, components: ['main'] },
  ];
}

/** Formats sources as apt's one-line entries, the form that mmdebstrap takes. */
export function formatOneLine({ uri, suite, components }: AptSource): string {
  return `deb ${uri} ${suite} ${components.join(' ')}`;
}

/** Formats sources as Debian's cloud images have them, in `/etc/apt/sources.list.d/debian.sources`. */
export function formatDeb822(sources: AptSource[], keyring: string): string {
  return sources
    .map(
      ({ uri, suite, components }) =>
        `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: ${components.join(' ')}\nSigned-By: ${keyring}\n`,
    )
    .join('\n');
}

const inheritedOptions =
  /^(Acquire::(?:(?:https?::)?Proxy|https?::Proxy::\S+|Check-Valid-Until|Check-Date|https::Ca[Ii]nfo)) "(.*)";$/i;

/**
 * The settings of this computer's apt that its hosts need too, from the output of `apt-config dump`: a proxy,
 * and whether an archive may be out of date (a frozen mirror). A proxy on this computer's own loopback address
 * stays behind, because a container does not reach it.
 */
export function inheritedAptOptions(dump: string): string[] {
  return dump.split('\n').flatMap((line) => {
    const [, name, value] = inheritedOptions.exec(line.trim()) ?? [];
    if (!name || !value || /\/\/(?:localhost\b|127\.|\[::1\])/.test(value)) return [];
    return [`${name} "${value}"`];
  });
}

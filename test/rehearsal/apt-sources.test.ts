import { describe, expect, it } from 'vitest';
import {
  debianMirrors,
  formatDeb822,
  formatOneLine,
  hostSources,
  inheritedAptOptions,
  parseAptSources,
} from '../../lib/rehearsal/apt-sources.ts';

const deb822 = `# made by hand
Types: deb deb-src
URIs: https://mirror.example.net/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
# a note in between
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.example.net/debian-security
Suites: bookworm-security
Components: main
`;

describe('parseAptSources', () => {
  it('reads deb822 stanzas with several suites, continued lines and comments', () => {
    expect(parseAptSources(deb822, 'deb822')).toEqual([
      { uri: 'https://mirror.example.net/debian', suite: 'bookworm', components: ['main', 'contrib'] },
      {
        uri: 'https://mirror.example.net/debian',
        suite: 'bookworm-updates',
        components: ['main', 'contrib'],
      },
      { uri: 'https://mirror.example.net/debian-security', suite: 'bookworm-security', components: ['main'] },
    ]);
  });

  it.each(['Enabled: no\n', 'Types: deb-src\n'])('leaves out a stanza with %j', (line) => {
    const stanza = `Types: deb\nURIs: http://a.example/debian\nSuites: trixie\nComponents: main\n${line}`;
    expect(parseAptSources(stanza, 'deb822')).toEqual([]);
  });

  it('reads one-line entries with options and comments', () => {
    const list = [
      '# deb http://off.example/debian trixie main',
      'deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian trixie main contrib # note',
      'deb-src http://a.example/debian trixie main',
      '',
    ].join('\n');
    expect(parseAptSources(list, 'list')).toEqual([
      { uri: 'http://a.example/debian', suite: 'trixie', components: ['main', 'contrib'] },
    ]);
  });
});

describe('debianMirrors', () => {
  it('finds the archive and the security archive', () => {
    expect(debianMirrors(parseAptSources(deb822, 'deb822'))).toEqual({
      archive: 'https://mirror.example.net/debian',
      security: 'https://mirror.example.net/debian-security',
    });
  });

  it.each([
    ['Ubuntu', 'deb http://u.example/ubuntu noble main\ndeb http://u.example/ubuntu noble-security main'],
    ['a vendor only', 'deb http://v.example/node nodistro main'],
    ['no security archive', 'deb http://a.example/debian trixie main'],
    ['a medium', 'deb cdrom:[Debian]/ trixie main\ndeb cdrom:[Debian]/ trixie-security main'],
    [
      "this computer's own loopback",
      'deb http://localhost:3142/debian trixie main\ndeb http://127.0.0.1/debian-security trixie-security main',
    ],
  ])('finds nothing for %s', (_, list) => {
    expect(debianMirrors(parseAptSources(list, 'list'))).toBeUndefined();
  });
});

describe('the sources of a host', () => {
  const sources = hostSources(
    { archive: 'http://a.example/debian', security: 'http://s.example/sec' },
    'trixie',
  );

  it('have the suite, its updates and its security updates', () => {
    expect(sources.map(formatOneLine)).toEqual([
      'deb http://a.example/debian trixie main',
      'deb http://a.example/debian trixie-updates main',
      'deb http://s.example/sec trixie-security main',
    ]);
  });

  it('read back from the form they are written in', () => {
    expect(parseAptSources(formatDeb822(sources, '/k.gpg'), 'deb822')).toEqual(sources);
  });
});

describe('inheritedAptOptions', () => {
  it('takes proxies and date checks, and nothing else', () => {
    const dump = [
      'APT::Architecture "amd64";',
      'Acquire::http::Proxy "http://proxy.example:3128";',
      'Acquire::https::Proxy "http://127.0.0.1:3128";',
      'Acquire::Check-Valid-Until "false";',
      'DPkg::Post-Invoke:: "rm -f /x";',
    ].join('\n');
    expect(inheritedAptOptions(dump)).toEqual([
      'Acquire::http::Proxy "http://proxy.example:3128"',
      'Acquire::Check-Valid-Until "false"',
    ]);
  });
});

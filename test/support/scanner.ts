import { readFileSync } from 'node:fs';
import type { Rehearsal, RehearsalHost } from '../../lib/rehearsal/rehearsal.ts';

/** What nmap, testssl.sh and ssh-audit say, asked from a machine of its own: outside of the host, in its network. */
export class Scanner {
  readonly #machine: RehearsalHost;

  private constructor(machine: RehearsalHost) {
    this.#machine = machine;
  }

  /** Boots the machine, always with the newer Debian, whose tools know more. */
  static async start(session: Rehearsal, name: string): Promise<Scanner> {
    const machine = await session.startHost({ os: 'debian13', name, adminUser: 'admin' });
    const scanner = new Scanner(machine);
    await scanner.run(
      'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends nmap testssl.sh ssh-audit bsdextrautils curl procps >/dev/null',
    );
    return scanner;
  }

  /** Runs a shell command on the machine and returns what it prints. Throws when it fails. */
  async run(command: string, input?: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.#machine.rootShell(command, input);
    if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}\n${stdout}\n${stderr}`);
    return stdout.trim();
  }

  stop(): Promise<void> {
    return this.#machine.stop();
  }

  /** The open ports of a host: all of TCP, and those of UDP that servers usually have open. */
  async openPorts(address: string): Promise<string[]> {
    const scan = 'nmap -n -Pn -oG - --min-rate 4000 --max-retries 2';
    const found = [
      await this.run(`${scan} -sS -p- ${address}`),
      await this.run(`${scan} -sU -p 53,67,69,111,123,137,161,500,514,1900,4369,5353,5355,11211 ${address}`),
    ].join('\n');
    return [...found.matchAll(/(\d+)\/open\/(tcp|udp)/g)].map(([, port, protocol]) => `${port}/${protocol}`);
  }

  /** What ssh-audit finds: lines with [fail] and [warn]. */
  async sshFindings(address: string, port: number): Promise<{ failures: string[]; warnings: string[] }> {
    // Its exit status counts findings.
    const text = await this.run(`ssh-audit --no-colors --port ${port} ${address} || true`);
    if (!text.includes('# general')) throw new Error(`ssh-audit did not reach the host:\n${text}`);
    const lines = (word: string) => {
      let algorithm = '';
      return text.split('\n').flatMap((line) => {
        const [, name] = /^\([a-z]+\) (\S+)/.exec(line) ?? [];
        if (name) algorithm = name;
        if (!line.includes(`[${word}]`)) return [];
        return [`${algorithm}: ${line.split(`[${word}]`)[1]?.trim()}`];
      });
    };
    return { failures: lines('fail'), warnings: lines('warn') };
  }

  /** testssl.sh's rating and what it calls more than low, with the ACME server's root trusted. */
  async tlsRating(
    domain: string,
    address: string,
    rootCertificatePath: string,
  ): Promise<{ grade: string; caps: string[]; findings: string[]; hsts: string }> {
    await this.run('cat > /root/authority.pem', readFileSync(rootCertificatePath, 'utf8'));
    await this.run(
      `rm -f /root/tls.json; testssl --quiet --color 0 --warnings off --ip ${address} --add-ca /root/authority.pem --jsonfile /root/tls.json ${domain}:443 >/root/tls.txt 2>&1 || true`,
    );
    type Finding = { id: string; severity: string; finding: string };
    const found = JSON.parse(await this.run('cat /root/tls.json')) as Finding[];
    const one = (id: string) => found.find((finding) => finding.id === id)?.finding ?? 'unknown';
    return {
      grade: one('overall_grade'),
      caps: found.filter(({ id }) => id.startsWith('grade_cap_reason')).map(({ finding }) => finding),
      findings: found
        .filter(({ severity }) => ['MEDIUM', 'HIGH', 'CRITICAL'].includes(severity))
        .map(({ id, severity, finding }) => `${id} (${severity.toLowerCase()}): ${finding}`),
      hsts: one('HSTS_time'),
    };
  }
}

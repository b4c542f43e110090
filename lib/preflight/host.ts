import { GobootError } from '../errors.ts';
import { describeTarget } from '../ssh/connection.ts';
import type { Check, CheckContext, CheckResult } from './check.ts';
import { type HostFacts, supportedSystems } from './host-facts.ts';

/** A check that says nothing of its own when the host could not be reached: the login check says it once. */
function hostCheck(
  name: string,
  judge: (facts: HostFacts, context: CheckContext) => CheckResult | Promise<CheckResult>,
): Check {
  return {
    name,
    async run(context) {
      let facts: HostFacts;
      try {
        facts = await requiredFacts(context);
      } catch {
        return { status: 'warning', detail: 'not checked: the host cannot be reached' };
      }
      return judge(facts, context);
    },
  };
}

function requiredFacts({ hostFacts }: CheckContext): Promise<HostFacts> {
  if (!hostFacts) throw new GobootError('The host plays no part in this command');
  return hostFacts;
}

const loginCheck: Check = {
  name: 'ssh login',
  async run(context) {
    await requiredFacts(context);
    return { status: 'ok', detail: describeTarget(context.environment.host) };
  },
};

const sudoCheck = hostCheck('sudo', ({ sudo }, { environment: { host } }) =>
  sudo
    ? { status: 'ok', detail: `without a password for ${host.user}` }
    : {
        status: 'failed',
        detail: `sudo asks ${host.user} for a password on ${host.address}`,
        remedy: `On the server, as root: echo '${host.user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/${host.user}`,
      },
);

const operatingSystemCheck = hostCheck(
  'operating system',
  async ({ operatingSystem, operatingSystemName, systemd }) => {
    const supported = await supportedSystems();
    if (!supported.has(operatingSystem)) {
      return {
        status: 'failed',
        detail: `${operatingSystemName} is not supported`,
        remedy: `Use one of: ${[...supported.values()].join(', ')}.`,
      };
    }
    return systemd
      ? { status: 'ok', detail: operatingSystemName }
      : {
          status: 'failed',
          detail: 'systemd does not run there',
          remedy: 'Use a real or virtual machine, not a plain container.',
        };
  },
);

const pythonCheck = hostCheck('python on the host', ({ python }) =>
  python
    ? { status: 'ok', detail: python }
    : {
        status: 'failed',
        detail: 'there is no python3',
        remedy: 'On the server: sudo apt-get install python3',
      },
);

/** What is asked of the host itself. */
export const hostChecks: readonly Check[] = [loginCheck, sudoCheck, operatingSystemCheck, pythonCheck];

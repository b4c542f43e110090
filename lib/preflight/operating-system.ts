import { hostCheck } from './host-check.ts';
import { supportedSystems } from './host-facts.ts';

/** The host runs a supported system, with systemd. */
export const operatingSystemCheck = hostCheck(
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

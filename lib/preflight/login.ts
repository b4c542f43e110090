import { describeTarget } from '../ssh/connection.ts';
import type { Check } from './check.ts';
import { notReached, requiredFacts } from './host-check.ts';

/** The jump host lets its user in, and leads to the host's SSH server. */
export const jumpLoginCheck: Check = {
  name: 'jump host login',
  async run({ jumpLogin, environment: { jump } }) {
    await jumpLogin;
    return { status: 'ok', detail: jump ? describeTarget(jump) : 'there is no jump host' };
  },
};

/** The host lets its user in, with its own port and key. */
export const loginCheck: Check = {
  name: 'ssh login',
  async run(context) {
    try {
      await requiredFacts(context);
    } catch (error) {
      if (!(await jumpFails(context.jumpLogin))) throw error;
      return notReached;
    }
    const { host, jump } = context.environment;
    return { status: 'ok', detail: `${describeTarget(host)}${jump ? ` through ${jump.address}` : ''}` };
  },
};

async function jumpFails(jumpLogin: Promise<void> | undefined): Promise<boolean> {
  try {
    await jumpLogin;
    return false;
  } catch {
    return true;
  }
}

import { jumpHosts } from '../project.ts';
import { describeTarget } from '../ssh/target.ts';
import type { Check } from './check.ts';
import { notReached, requiredFacts } from './host-check.ts';

/** The jump host lets its user in, and leads to the host's SSH server. */
export const jumpLoginCheck: Check = {
  name: 'jump host login',
  async run({ jumpLogin, environment }) {
    await jumpLogin;
    const way = jumpHosts(environment).map(describeTarget).join(', then ');
    return { status: 'ok', detail: way || 'there is no jump host' };
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
    const way = jumpHosts(context.environment).map(({ address }) => ` through ${address}`);
    return { status: 'ok', detail: [describeTarget(context.environment.host), ...way.reverse()].join('') };
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

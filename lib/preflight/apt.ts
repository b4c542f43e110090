import { surveyCheck } from './host-check.ts';

/** The host reaches the source of its packages. Nothing is updated: one small file is fetched as apt would. */
export const aptSourceCheck = surveyCheck('apt source', ({ apt }) => {
  if (!apt) return { status: 'failed', detail: 'there is no apt', remedy: 'Use Debian or Ubuntu.' };
  if (!apt.source) {
    return {
      status: 'failed',
      detail: 'apt has no source on the network',
      remedy: 'Name one in /etc/apt/sources.list.d/ on the server.',
    };
  }
  if (apt.problem === undefined) return { status: 'ok', detail: apt.source };
  return {
    status: 'failed',
    detail: `apt cannot fetch from ${apt.source} (${apt.problem})`,
    remedy:
      'Check on the server: sudo apt-get update, its name servers, its firewall, and the proxy in /etc/apt/apt.conf.d/.',
  };
});

/** No other run of apt is in the way, and none was cut short. */
export const packagesCheck = surveyCheck('packages', ({ aptLocks, unfinishedPackages }) => {
  const [holder] = aptLocks;
  if (holder) {
    return {
      status: 'warning',
      detail: `${holder.program} (process ${holder.process}) is installing packages: provisioning waits for it, but not for long`,
      remedy: 'Wait until it has ended. A new server updates itself in its first minutes.',
    };
  }
  const [first] = unfinishedPackages;
  if (first) {
    const others = unfinishedPackages.length - 1;
    return {
      status: 'warning',
      detail: `${first}${others > 0 ? ` and ${others} more are` : ' is'} installed by half`,
      remedy: 'On the server: sudo dpkg --configure -a && sudo apt-get --fix-broken install',
    };
  }
  return { status: 'ok', detail: 'all installed completely' };
});

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';
import { GobootError } from '../../errors.ts';
import { chooseSubnet, gatewayAddress, reachableNameServers } from '../subnet.ts';
import { command, type StepContext } from './commands.ts';
import { rootPaths } from './paths.ts';
import { bootId } from './processes.ts';
import { machineNames, type NetworkState, readJson, writeJson } from './state.ts';

/** The bridge that all throwaway machines of this computer are attached to. */
export const bridge = 'goboot0';

const table = 'goboot_rehearsal';
const forwardingSwitch = '/proc/sys/net/ipv4/ip_forward';

interface Route {
  dst: string;
}

async function takenNetworks(context: StepContext): Promise<string[]> {
  const failure = "Reading this computer's routes failed";
  const routes = await command(context, failure, ['ip', '-json', '-4', 'route', 'show', 'table', 'all']);
  return [
    ...(JSON.parse(routes || '[]') as Route[]).map(({ dst }) => dst),
    // A name server may be in a network that only the default route leads to.
    ...nameServers(),
  ];
}

/** The name servers that a machine on the bridge can ask. */
export function nameServers(): string[] {
  // systemd-resolved shows itself, on a loopback address, and keeps the real servers here.
  return ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']
    .filter((file) => existsSync(file))
    .flatMap((file) => reachableNameServers(readFileSync(file, 'utf8')))
    .filter((address, index, all) => all.indexOf(address) === index);
}

/** nft's rules: the machines reach the outside under this computer's address, in packets that fit its routes. */
function ruleset(subnet: string): string {
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain outgoing {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} oifname != "${bridge}" masquerade
  }
  chain segment_size {
    type filter hook forward priority mangle; policy accept;
    iifname "${bridge}" tcp flags syn tcp option maxseg size set rt mtu
    oifname "${bridge}" tcp flags syn tcp option maxseg size set rt mtu
  }
}
`;
}

const firewallRules = [
  ['FORWARD', '-i', bridge, '-j', 'ACCEPT'],
  ['FORWARD', '-o', bridge, '-j', 'ACCEPT'],
];

/**
 * Whether a firewall of this computer (Docker's, ufw's) may drop what is forwarded. nft's own table cannot help
 * there: a packet needs the consent of every table.
 */
async function firewallNeedsRules(): Promise<boolean> {
  const chain = await execa('iptables', ['--wait', '-S', 'FORWARD'], { reject: false });
  return !chain.failed && chain.stdout.trim() !== '-P FORWARD ACCEPT';
}

/**
 * Makes or repairs the network that all throwaway machines share and returns its subnet. Call it under the lock.
 *
 * Throws a GobootError when no private network is free or a tool refuses.
 */
export async function ensureNetwork(context: StepContext): Promise<string> {
  const failure = 'Making the network of the throwaway hosts failed';
  let state = readJson<NetworkState>(rootPaths.network);
  if (!state || state.bootId !== bootId()) {
    const subnet = chooseSubnet(await takenNetworks(context));
    if (!subnet) {
      throw new GobootError(
        `${failure}: every private network that it could use is in use on this computer`,
        {
          remedy: 'Disconnect a VPN or remove an unused bridge, then try again.',
        },
      );
    }
    state = {
      bootId: bootId(),
      subnet,
      previousForwarding: readFileSync(forwardingSwitch, 'utf8').trim(),
      firewallRules: await firewallNeedsRules(),
    };
    writeJson(rootPaths.network, state);
  }
  if (!existsSync(`/sys/class/net/${bridge}`)) {
    await command(context, failure, ['ip', 'link', 'add', 'name', bridge, 'type', 'bridge']);
  }
  const gateway = gatewayAddress(state.subnet);
  await command(context, failure, ['ip', 'address', 'replace', `${gateway}/24`, 'dev', bridge]);
  await command(context, failure, ['ip', 'link', 'set', bridge, 'up']);
  await command(context, failure, ['nft', '-f', '-'], { input: ruleset(state.subnet) });
  if (state.firewallRules) {
    for (const rule of firewallRules) {
      const present = await execa('iptables', ['--wait', '-C', ...rule], { reject: false });
      if (present.failed) await command(context, failure, ['iptables', '--wait', '-I', ...rule]);
    }
  }
  if (readFileSync(forwardingSwitch, 'utf8').trim() === '0') {
    // Somebody may have switched it off since the first machine; then that is what to go back to.
    writeJson(rootPaths.network, { ...state, previousForwarding: '0' } satisfies NetworkState);
    writeFileSync(forwardingSwitch, '1');
  }
  return state.subnet;
}

/** Takes the shared network away once no machine is left, with every trace of it. Call it under the lock. */
export async function removeUnusedNetwork(context: Pick<StepContext, 'log'>): Promise<void> {
  if (machineNames().length > 0) return;
  const failure = 'Removing the network of the throwaway hosts failed';
  const state = readJson<NetworkState>(rootPaths.network);
  if (existsSync(`/sys/class/net/${bridge}`)) {
    await command(context, failure, ['ip', 'link', 'delete', bridge]);
  }
  if (!state) return;
  if (state.bootId === bootId()) {
    // Adding first makes deleting work whether or not the table is there.
    await command(context, failure, ['nft', '-f', '-'], {
      input: `table ip ${table}\ndelete table ip ${table}\n`,
    });
    if (state.firewallRules) {
      for (const rule of firewallRules) {
        const present = await execa('iptables', ['--wait', '-C', ...rule], { reject: false });
        if (!present.failed) await command(context, failure, ['iptables', '--wait', '-D', ...rule]);
      }
    }
    if (state.previousForwarding === '0') writeFileSync(forwardingSwitch, '0');
  }
  rmSync(rootPaths.network);
}

import { describe, expect, it } from 'vitest';
import { checkMachineName } from '../../lib/rehearsal/protocol.ts';
import { hostFiles, imageKey, imageRecipe, mmdebstrapArguments } from '../../lib/rehearsal/recipe.ts';

const mirrors = { archive: 'http://a.example/debian', security: 'http://s.example/security' };

describe('imageRecipe', () => {
  it('gives each set of ingredients an image of its own, and equal ones the same', () => {
    const keys = [
      imageKey(imageRecipe('debian13', mirrors, [])),
      imageKey(imageRecipe('debian12', mirrors, [])),
      imageKey(imageRecipe('debian13', undefined, [])),
      imageKey(imageRecipe('debian13', mirrors, ['Acquire::http::Proxy "http://p.example"'])),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(imageKey(imageRecipe('debian13', mirrors, []))).toBe(keys[0]);
    expect(keys[0]).toMatch(/^debian13-[0-9a-f]{16}$/);
  });

  it('leaves the choice of a mirror to mmdebstrap where this computer knows none', () => {
    expect(mmdebstrapArguments(imageRecipe('debian12', undefined, []), '/image').slice(-2)).toEqual([
      'bookworm',
      '/image',
    ]);
    expect(mmdebstrapArguments(imageRecipe('debian12', mirrors, []), '/image').at(-1)).toBe(
      'deb http://s.example/security bookworm-security main',
    );
  });

  it('installs nothing of the stack that provisioning is to install', () => {
    const { packages } = imageRecipe('debian13', mirrors, []);
    const stack = [
      'postgresql',
      'rabbitmq-server',
      'memcached',
      'nginx',
      'postfix',
      'certbot',
      'ufw',
      'fail2ban',
    ];
    expect(packages.filter((name) => stack.includes(name))).toEqual([]);
  });
});

describe('hostFiles', () => {
  const host = { name: 'shop', address: '10.1.2.10', gateway: '10.1.2.1', nameServers: ['10.9.9.9'] };

  it('gives an administrator sudo without a password, and root no rule', () => {
    const file = 'etc/sudoers.d/90-cloud-init-users';
    expect(hostFiles({ ...host, adminUser: 'admin' })[file]).toBe('admin ALL=(ALL) NOPASSWD:ALL\n');
    expect(hostFiles({ ...host, adminUser: 'root' })).not.toHaveProperty([file]);
  });

  it('names itself and its network', () => {
    const files = hostFiles({ ...host, adminUser: 'admin' });
    expect(files['etc/hosts']).toContain('127.0.1.1 shop\n');
    expect(files['etc/systemd/network/10-host0.network']).toContain(
      'Address=10.1.2.10/24\nGateway=10.1.2.1\n',
    );
    expect(files['etc/resolv.conf']).toBe('nameserver 10.9.9.9\n');
  });
});

describe('checkMachineName', () => {
  it.each(['shop', 'shop-production', 'a1'])('accepts %s', (name) => {
    expect(() => checkMachineName(name)).not.toThrow();
  });

  it.each(['', '.', '..', '../etc', 'a/b', 'Shop', '1a', '-a', 'a b', 'a'.repeat(41), undefined])(
    'refuses %j',
    (name) => {
      expect(() => checkMachineName(name)).toThrow('cannot be the name of a throwaway host');
    },
  );
});

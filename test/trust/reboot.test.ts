import { beforeAll, expect, test } from 'vitest';
import { recoverySeconds } from '../support/site-health.ts';
import { sharedSite, type TrustedSite } from '../support/trusted-site.ts';

let trusted: TrustedSite;
beforeAll(async () => {
  trusted = await sharedSite();
});

/** In seconds, from the order to reboot until the site is well again. */
const limit = 30;

test('after a reboot everything is back within 30 seconds, with the same release', async () => {
  const before = (await trusted.deepHealth())?.release;
  expect(await recoverySeconds(trusted.site)).toBeLessThan(limit);
  await trusted.recovered(limit);
  expect((await trusted.deepHealth())?.release).toBe(before);
  expect((await trusted.page()).status).toBe(200);
  expect(await trusted.taskComesBack()).toBe(true);
  expect(await trusted.site.shell('systemctl is-system-running')).toBe('running');
});

test('after a power cut everything is back within 30 seconds, with the same release', async () => {
  const before = (await trusted.deepHealth())?.release;
  await trusted.site.host.kill();
  const started = performance.now();
  await trusted.site.host.boot();
  await trusted.recovered(limit);
  expect((performance.now() - started) / 1000).toBeLessThan(limit);
  expect((await trusted.deepHealth())?.release).toBe(before);
  expect(await trusted.taskComesBack()).toBe(true);
});

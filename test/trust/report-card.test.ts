import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '../../scripts/report-card/limits.ts';
import { memoryInUse, unitExposure } from '../support/host-report.ts';
import { Scanner } from '../support/scanner.ts';
import { sharedSite, type TrustedSite } from '../support/trusted-site.ts';

// The quick parts of `npm run report-card`, which has the others: testssl.sh, lynis, and a second site.

let trusted: TrustedSite;
let scanner: Scanner;
beforeAll(async () => {
  trusted = await sharedSite();
  scanner = await Scanner.start(trusted.session, `${trusted.site.host.name}-scanner`);
});
afterAll(() => scanner?.stop());

test('from another machine nothing can be reached but SSH and the web', async () => {
  expect((await scanner.openPorts(trusted.site.host.address)).sort()).toEqual([...limits.ports].sort());
});

test('the idle host uses no more memory than half a small server has', async () => {
  expect((await memoryInUse(trusted.site)).total).toBeLessThanOrEqual(limits.memoryMiB);
});

test('every unit that provisioning describes is sandboxed', async () => {
  const units = await unitExposure(trusted.site);
  expect(Object.keys(units)).toEqual(
    expect.arrayContaining(['rabbitmq-watch.service', `${trusted.site.name}-web@.service`]),
  );
  for (const [unit, exposure] of Object.entries(units)) {
    expect(exposure, unit).toBeLessThanOrEqual(limits.unitExposure);
  }
});

import { expect, test } from 'vitest';
import { certificateCheck } from '../../lib/preflight/certificate.ts';
import { type CheckResult, runChecks } from '../../lib/preflight/check.ts';
import type { HostSurvey } from '../../lib/preflight/host-facts.ts';
import { goodFacts, goodSurvey } from '../support/host-facts.ts';
import { sampleEnvironment } from '../support/sample.ts';

const inDays = (days: number) => new Date(Date.now() + days * 24 * 60 * 60 * 1000 + 60_000).toUTCString();

async function judge(
  certificate: HostSurvey['certificate'],
  domain = 'shop.goboot-test.se',
): Promise<CheckResult> {
  const [result] = await runChecks([certificateCheck], {
    projectRoot: '/nowhere',
    projectName: 'shop',
    environment: sampleEnvironment({ domain }),
    hostFacts: Promise.resolve(goodFacts({ survey: goodSurvey({ ...(certificate && { certificate }) }) })),
  });
  return result as CheckResult;
}

const issued = (days: number) => ({
  validFrom: inDays(days - 90),
  validUntil: inDays(days),
  selfSigned: false,
});
const ownOne = { validFrom: inDays(-1), validUntil: inDays(3649), selfSigned: true };

test('the certificate of the site is well as long as it is renewed, and its days are told', async () => {
  expect(await judge(undefined)).toMatchObject({ status: 'ok', detail: 'none yet' });
  expect(await judge(issued(45))).toMatchObject({
    status: 'ok',
    detail: expect.stringContaining('valid for 45 more days'),
  });
});

test('a certificate that was not renewed is a warning with the command to find out why', async () => {
  for (const [days, says] of [
    [13, 'expires in 13 days'],
    [-2, 'expired on'],
  ] as const) {
    expect(await judge(issued(days))).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining(says),
      remedy: expect.stringContaining('systemctl start certbot.service'),
    });
  }
});

test('a self-signed certificate is a warning where an authority could issue one', async () => {
  expect(await judge(ownOne)).toMatchObject({
    status: 'warning',
    remedy: expect.stringContaining('yo goboot:deploy --provision'),
  });
  expect(await judge(ownOne, 'shop.example.com')).toMatchObject({ status: 'ok' });
});

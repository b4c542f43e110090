import { expect, test } from 'vitest';
import { overviewTable, type SiteOverview } from '../../lib/deploy/overview.ts';

const production: SiteOverview = {
  environment: 'production',
  site: 'shop-production',
  domain: 'shop.example.com',
  address: '203.0.113.7',
  roles: ['web', 'worker'],
  operatingSystem: 'Debian GNU/Linux 13 (trixie)',
  release: '20261120T101500Z-0a1b2c3d',
  certificateDays: 71,
  certificateTrusted: true,
  lastBackup: '2026-11-21T03:15:42Z',
  health: 'well',
  maintenance: false,
};

test('the table tells where each environment is, what runs there, and how it is; who is not well stands out', () => {
  const staging: SiteOverview = {
    ...production,
    environment: 'staging',
    address: '10.0.0.5',
    jumpHost: 'gate.example.com',
    release: null,
    certificateDays: 3,
    certificateTrusted: false,
    lastBackup: null,
    backupProblems: ['the last drill has failed'],
    health: 'ill',
    maintenance: true,
    problem: 'nothing is live yet',
  };
  const silent: SiteOverview = {
    environment: 'old',
    site: 'shop-old',
    domain: 'old.example.com',
    address: '192.0.2.9',
    roles: [],
    health: 'unknown',
    problem: 'ada@192.0.2.9 does not answer',
  };
  expect(overviewTable([production, staging, silent], (row) => `! ${row}`)).toEqual([
    'environment  address                            system                        release                    certificate          last backup (UTC)  health',
    'production   203.0.113.7                        Debian GNU/Linux 13 (trixie)  20261120T101500Z-0a1b2c3d  71 days              2026-11-21 03:15   well',
    '! staging      10.0.0.5 through gate.example.com  Debian GNU/Linux 13 (trixie)  none                       3 days, not trusted  none               ill, closed for maintenance: nothing is live yet; the last drill has failed',
    '! old          192.0.2.9                                                                                                                           unknown: ada@192.0.2.9 does not answer',
  ]);
});

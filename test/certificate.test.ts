import { expect, test } from 'vitest';
import { daysLeft, renewalProblem } from '../lib/certificate.ts';

const day = 24 * 60 * 60 * 1000;
const validFrom = 'Sep  1 00:00:00 2026 GMT';
const start = Date.parse(validFrom);

/** A certificate for so many days, looked at after so many. */
function problemAfter(days: number, lifetime: number): string | undefined {
  const validUntil = new Date(start + lifetime * day).toUTCString();
  return renewalProblem({ validFrom, validUntil }, start + days * day)?.message;
}

test('the days that a certificate has left are whole ones', () => {
  const validUntil = 'Sep 11 12:00:00 2026 GMT';
  expect(daysLeft({ validUntil }, start)).toBe(10);
  expect(daysLeft({ validUntil }, start + 11 * day)).toBe(-1);
});

test('a certificate that is renewed in time is no problem', () => {
  expect(problemAfter(0, 90)).toBeUndefined();
  expect(problemAfter(76, 90)).toBeUndefined();
});

test('fewer than 14 days are a problem, which names the day', () => {
  expect(problemAfter(77, 90)).toMatch(/expires in 13 days, on .*30 Nov 2026/);
  expect(problemAfter(89, 90)).toContain('expires in 1 day,');
  expect(problemAfter(91, 90)).toContain('expired on');
});

test('a certificate for a few days is complained of in its last quarter only', () => {
  expect(problemAfter(0, 6)).toBeUndefined();
  expect(problemAfter(5, 6)).toContain('expires in 1 day,');
});

/** From when until when a certificate is good, as OpenSSL writes it: `Nov 21 03:40:29 2026 GMT`. */
export interface Validity {
  validFrom: string;
  validUntil: string;
}

const day = 24 * 60 * 60 * 1000;

/** Certbot renews when a third of the time is left, or 30 days; less than this means that it has failed for long. */
const warningDays = 14;

/** Whole days until a certificate expires; negative when it has. */
export function daysLeft({ validUntil }: Pick<Validity, 'validUntil'>, now = Date.now()): number {
  return Math.floor((Date.parse(validUntil) - now) / day);
}

/**
 * What is wrong when a certificate was not renewed in time: fewer than 14 days are left, and less than a quarter of its
 * time, so that one that is made for a few days is not complained of from its first one. Undefined when all is well.
 */
export function renewalProblem(
  validity: Validity,
  now = Date.now(),
): { message: string; remedy: string } | undefined {
  const left = daysLeft(validity, now);
  const whole = (Date.parse(validity.validUntil) - Date.parse(validity.validFrom)) / day;
  if (left >= Math.min(warningDays, whole / 4)) return undefined;
  const when = left < 0 ? 'expired on' : `expires in ${left === 1 ? '1 day' : `${left} days`}, on`;
  return {
    message: `The certificate ${when} ${validity.validUntil}, and was not renewed`,
    remedy:
      'On the server: sudo systemctl start certbot.service, which renews it; if that fails: sudo journalctl --unit=certbot.service --lines=50',
  };
}

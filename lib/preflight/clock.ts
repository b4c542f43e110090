import { formatSeconds } from '../terminal/format.ts';
import { surveyCheck } from './host-check.ts';

// In seconds. Beyond the larger one certificates and signatures of packages count as not yet valid or expired.
const noticeable = 30;
const harmful = 5 * 60;

/** The host's clock agrees with this computer's. */
export const clockCheck = surveyCheck('clock', ({ clockAhead }) => {
  const difference = Math.abs(clockAhead);
  if (difference <= noticeable) return { status: 'ok', detail: 'agrees with this computer’s' };
  return {
    status: difference > harmful ? 'failed' : 'warning',
    detail: `${formatSeconds(difference)} ${clockAhead > 0 ? 'ahead of' : 'behind'} this computer’s`,
    remedy: 'If the server’s is the wrong one: sudo timedatectl set-ntp true',
  };
});

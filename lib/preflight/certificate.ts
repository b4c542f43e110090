import { daysLeft, renewalProblem } from '../certificate.ts';
import { isSpecialName, readCertificateAuthority } from './certificate-authority.ts';
import { surveyCheck } from './host-check.ts';

/**
 * The certificate that the host shows for the site is of an authority, and is renewed in time. Only ever a warning:
 * provisioning is what mends it.
 */
export const certificateCheck = surveyCheck(
  'certificate',
  async ({ certificate }, { projectRoot, environment: { name, domain } }) => {
    if (!certificate) return { status: 'ok', detail: 'none yet' };
    if (certificate.selfSigned) {
      const { directoryUrl, caaName } = await readCertificateAuthority(projectRoot, name);
      if (!directoryUrl) return { status: 'ok', detail: 'self-signed, as the inventory says' };
      if (caaName && isSpecialName(domain)) {
        return { status: 'ok', detail: `self-signed: no public authority issues one for ${domain}` };
      }
      return {
        status: 'warning',
        detail: 'self-signed: browsers warn of it',
        remedy: `When ${domain} leads to the server: yo goboot:deploy --provision`,
      };
    }
    const problem = renewalProblem(certificate);
    if (problem) return { status: 'warning', detail: problem.message, remedy: problem.remedy };
    return {
      status: 'ok',
      detail: `valid for ${daysLeft(certificate)} more days, until ${certificate.validUntil}`,
    };
  },
);

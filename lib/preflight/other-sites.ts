import { siteNames } from '../project.ts';
import { surveyCheck } from './host-check.ts';
import type { NginxStatement } from './host-facts.ts';

const mainFile = '/etc/nginx/nginx.conf';
const replacedFiles = ['/etc/nginx/conf.d/unknown-names.conf', '/etc/nginx/sites-enabled/default'];

/** Whether a server_name of nginx (with a wildcard at one end, perhaps) is for exactly this domain. */
function means(name: string, domain: string): boolean {
  return name === domain || name === `.${domain}`;
}

/**
 * No other site of the host's nginx is for this domain or answers for all others, and none would be lost: provisioning
 * replaces nginx.conf (and keeps a copy) and the distribution's sample.
 */
export const otherSitesCheck = surveyCheck('other sites', ({ nginx }, { environment }) => {
  const { domain, site } = environment;
  const own = [...replacedFiles, `/etc/nginx/sites-enabled/${site}.conf`, `/etc/nginx/conf.d/${site}.conf`];
  const foreign = nginx.filter(({ file }) => !own.includes(file));
  for (const wanted of siteNames(environment)) {
    const rival = foreign.find(({ names }) => names.some((name) => means(name, wanted)));
    if (!rival) continue;
    const choice = wanted === domain ? 'choose another domain' : 'leave that name out with --www none';
    return {
      status: 'failed',
      detail: `nginx has another site for ${wanted}, in ${rival.file}`,
      remedy: `Take it off, on the server: sudo rm ${rival.file} && sudo systemctl reload nginx; or ${choice}.`,
    };
  }
  const lost = foreign.find(({ file }) => file === mainFile);
  if (lost) {
    return {
      status: 'failed',
      detail: `${mainFile} holds a site of its own, which goboot would put away together with that file`,
      remedy: 'Move its server blocks to a file in /etc/nginx/conf.d/ on the server.',
    };
  }
  const defaultServer = foreign.find((statement) => statement.defaultServer);
  if (defaultServer) {
    return {
      status: 'failed',
      detail: `${defaultServer.file} is nginx’s default_server, which goboot’s own refusal of unknown names has to be`,
      remedy: 'Take the word default_server out of that file on the server.',
    };
  }
  const files = new Set(foreign.map(({ file }: NginxStatement) => file));
  return {
    status: 'ok',
    detail: files.size > 0 ? `none for ${domain} among ${files.size}` : 'none',
  };
});

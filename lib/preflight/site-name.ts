import { readStoredAnswers } from '../settings-file.ts';
import { surveyCheck } from './host-check.ts';

/** The host has no site of this name that belongs to another project. */
export const siteNameCheck = surveyCheck(
  'site name',
  (
    { siteDomain },
    { environment: { name: environment, site, domain }, projectRoot, movesFrom, resumesMove },
  ) => {
    if (siteDomain === undefined) return { status: 'ok', detail: `${site} is free` };
    if (movesFrom && !resumesMove) {
      return {
        status: 'failed',
        detail: `the host has a site ${site} already${siteDomain ? `, for ${siteDomain}` : ''}: its data would be replaced`,
        remedy: `If an earlier attempt has left it: --resume. If nobody needs it, remove it there first.`,
      };
    }
    const isNew = readStoredAnswers(projectRoot).environments[environment] === undefined;
    if (isNew) {
      return {
        status: 'failed',
        detail: `the host has a site ${site} already${siteDomain ? `, for ${siteDomain}` : ''}: a new one would take over its database and its secrets`,
        remedy: 'Choose another name, or work in a clone of that site’s project.',
      };
    }
    return siteDomain && siteDomain !== domain
      ? {
          status: 'warning',
          detail: `${site} is for ${siteDomain} on the host and for ${domain} in this project`,
          remedy:
            'If you have changed the domain, go on; if this is another project, choose another name for it.',
        }
      : { status: 'ok', detail: `${site} is this project’s` };
  },
);

// Starts the stand-in for GitHub that the tests use, for trying `yo goboot` by hand. Ends with Ctrl-C.
//
//   npm run github              on port 8400
//   npm run github -- --port 0  on a free port
import { parseArgs } from 'node:util';
import { type GitHub, startGitHub } from '../test/support/github/server.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8400' } } });
const github = await startGitHub({ port: Number(values.port) }).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== 'EADDRINUSE') throw error;
  console.error(`Port ${values.port} is in use. Another one: npm run github -- --port 0`);
  process.exit(1);
});

console.log(`${instructions(github)}\nRequests:`);
// What comes in is shown when it has been answered, so a while later.
const watch = setInterval(() => {
  for (const { method, path, status } of github.requests.splice(0)) {
    console.log(`  ${status ?? '---'} ${method} ${path}`);
  }
  for (const violation of github.violations.splice(0)) console.log(`  ! ${violation}`);
}, 500);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    clearInterval(watch);
    github.close().finally(() => process.exit(0));
  });
}

function instructions(server: GitHub): string {
  const accounts = Object.entries(server.accounts).map(([login, account]) => {
    const details =
      account.kind === 'user'
        ? []
        : [
            Object.entries(account.members)
              .map(([member, role]) => `${member} (${role})`)
              .join(', '),
            ...(account.membersMayCreateRepositories === false
              ? ['members may not create repositories']
              : []),
            ...(account.requiresSaml ? ['single sign-on'] : []),
            ...(account.requiresApproval ? ['approves fine-grained tokens'] : []),
            ...(account.blocksClassicTokens ? ['blocks classic tokens'] : []),
          ];
    return `  ${login.padEnd(26)} ${account.kind.padEnd(13)} ${account.plan.padEnd(5)} ${details.join('; ')}`;
  });
  const tokens = Object.entries(server.accounts)
    .filter(([, { kind }]) => kind === 'user')
    .flatMap(([login]) => [
      `  ${login.padEnd(26)} ${server.token('classic', login)}`,
      `  ${''.padEnd(26)} ${server.token('fine-grained', login)}`,
    ]);
  return `A stand-in for GitHub, which forgets everything when it ends (Ctrl-C).

  export GH_TOKEN=${server.token('classic')}
  yo goboot --github-url ${server.url}

Accounts:
${accounts.join('\n')}

Tokens that may do everything:
${tokens.join('\n')}
`;
}

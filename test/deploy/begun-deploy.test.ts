import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { beginDeploy, type DeployRequest } from '../../lib/deploy/begun-deploy.ts';
import { contextWith } from '../support/local-connection.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const request: DeployRequest = { commit: 'a'.repeat(40), provisioned: 'b', options: { wait: 5 } };
const succeeds = `echo '{"event":"result","status":"deployed","message":""}'`;

/** A release command that notes its words, and what came to it before its input ended. */
function begin() {
  const directory = temporaryDirectory();
  const file = (name: string) => join(directory, name);
  const command = `echo "$*" > ${file('begun')}; cat > ${file('archive')}; echo > ${file('ended')}; ${succeeds}`;
  const deploy = beginDeploy({ ...contextWith(command), request });
  return { deploy, file, begun: () => vi.waitFor(() => expect(existsSync(file('begun'))).toBe(true)) };
}

test('the release command starts at once, and goes on when the archive has come', async () => {
  const { deploy, file, begun } = begin();
  await begun();
  expect(readFileSync(file('begun'), 'utf8')).toMatch(
    /deploy --archive - --commit a{40} --provisioned b --wait 5 --by \S+ --json/,
  );
  expect(existsSync(file('ended'))).toBe(false);
  const { result } = await deploy.send(Readable.from(['the ', 'archive']), () => {});
  expect(result.status).toBe('deployed');
  expect(readFileSync(file('archive'), 'utf8')).toBe('the archive');
});

test('one that is abandoned gets nothing, and is not used any more', async () => {
  const { deploy, file, begun } = begin();
  await begun();
  deploy.abandon();
  expect(deploy.isFor(request)).toBe(false);
  expect(readFileSync(file('archive'), 'utf8')).toBe('');
});

test('to abandon it once the archive is on its way changes nothing', async () => {
  const { deploy } = begin();
  const run = deploy.send(Readable.from(['archive']), () => {});
  deploy.abandon();
  expect((await run).result.status).toBe('deployed');
});

test('it is for one commit, one state of the host and one decision of the user', () => {
  const { deploy } = begin();
  expect(deploy.isFor({ ...request })).toBe(true);
  for (const other of [{ commit: 'c' }, { provisioned: 'c' }, { options: { discardHotFix: true } }]) {
    expect(deploy.isFor({ ...request, ...other })).toBe(false);
  }
  deploy.abandon();
});

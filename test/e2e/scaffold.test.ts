import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Workplace } from '../support/workplace.ts';

const flags = [
  '--domain=shop.example.com',
  '--author=Ada Example',
  '--email=ada@example.com',
  '--skip-deploy',
  '--yes',
];

test('flags alone', async () => {
  const place = new Workplace();
  const result = await place.yo(['goboot', 'shop', ...flags]);
  console.log(result);
  console.log(place.listing());
});

import { expect, test } from 'vitest';
import { validateGitHubUrl } from '../../lib/validate.ts';

test.each([
  ['https://ghe.example.com/api/v3', 'https://ghe.example.com/api/v3'],
  [' https://ghe.example.com/api/v3/ ', 'https://ghe.example.com/api/v3'],
  ['https://api.github.com', 'https://api.github.com'],
  ['https://api.acme.ghe.com', 'https://api.acme.ghe.com'],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ['http://localhost:8080/api/v3', 'http://localhost:8080/api/v3'],
  ['http://[::1]:8080', 'http://[::1]:8080'],
  ['http://github.localhost:8080/', 'http://github.localhost:8080'],
])('%j is the URL of an API', (value, url) => {
  expect(validateGitHubUrl(value)).toBe(url);
});

test.each([
  ['', 'is empty'],
  ['ghe.example.com', 'is not a URL'],
  ['not a url', 'is not a URL'],
  ['http://ghe.example.com/api/v3', 'is not https'],
  ['http://127.0.0.1.example.com', 'is not https'],
  ['ssh://git@github.com', 'user name or a password'],
  ['ftp://ghe.example.com', 'is not https'],
  ['https://github.com', 'is that of the web pages'],
  ['https://ghe.example.com/api/v3?x=1', 'has a query or a fragment'],
])('%j is refused: it %s', (value, reason) => {
  expect(() => validateGitHubUrl(value)).toThrow(reason);
});

test('a token in the URL is refused, and not repeated', () => {
  expect(() => validateGitHubUrl('https://ghp_secret@ghe.example.com')).toThrow(
    /^(?!.*ghp_secret).*user name/,
  );
});

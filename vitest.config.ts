import { defineConfig } from 'vitest/config';

// Parts of their own, because each takes minutes: a file of that name in test/host.
const longParts = ['workflows', 'replacement', 'secrets'];
const fileOf = (part: string) => `test/host/${part}.test.ts`;

// GitHub's packages import JSON as only bundlers accept it.
const server = { deps: { inline: [/@actions\//] } };

export default defineConfig({
  test: {
    projects: [
      {
        // The packages below name source maps that they do not contain: a warning for each of their files.
        logLevel: 'error',
        test: {
          name: 'unit',
          server,
          include: ['test/**/*.test.ts'],
          exclude: ['github', 'rendered', 'host', 'e2e', 'trust', 'robustness', 'faults'].map(
            (name) => `test/${name}/**`,
          ),
        },
      },
      {
        test: {
          name: 'github',
          include: ['test/github/**/*.test.ts'],
          testTimeout: 30_000,
          maxWorkers: 2,
        },
      },
      {
        logLevel: 'error',
        test: {
          name: 'rendered',
          include: ['test/rendered/**/*.test.ts'],
          globalSetup: ['test/support/rendered-project.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          maxWorkers: 2,
          server,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: 'test/e2e/setup.ts',
          maxConcurrency: 3,
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        logLevel: 'error',
        test: {
          name: 'host',
          server,
          include: ['test/host/**/*.test.ts'],
          exclude: longParts.map(fileOf),
          globalSetup: 'test/host/setup.ts',
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
      ...longParts.map((part) => ({
        logLevel: 'error' as const,
        test: {
          name: part,
          server,
          include: [fileOf(part)],
          globalSetup: 'test/host/setup.ts',
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      })),
      {
        test: {
          name: 'trust',
          include: ['test/trust/**/*.test.ts'],
          globalSetup: 'test/trust/setup.ts',
          testTimeout: 300_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          // All files use one host, which the first of them provisions.
          isolate: false,
        },
      },
      {
        test: {
          name: 'robustness',
          include: ['test/robustness/**/*.test.ts'],
          globalSetup: ['test/trust/setup.ts', 'test/robustness/setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: 'test/faults/setup.ts',
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          // All files use one host, which the first of them provisions.
          isolate: false,
        },
      },
    ],
  },
});

import { surveyCheck } from './host-check.ts';

/** What uv has Python builds and PyPI has most wheels for, by the names of uname and of dpkg. */
const supported: ReadonlyMap<string, readonly string[]> = new Map([
  ['x86_64', ['amd64']],
  ['aarch64', ['arm64']],
]);

/** Kernel and packages are of a supported architecture: a 64-bit kernel may carry a 32-bit system. */
export const architectureCheck = surveyCheck(
  'architecture',
  ({ kernelArchitecture: kernel, packageArchitecture: packages }) => {
    const remedy = `Use a server with one of: ${[...supported.keys()].join(', ')}.`;
    const expected = supported.get(kernel);
    if (!expected) return { status: 'failed', detail: `${kernel || 'unknown'} is not supported`, remedy };
    if (packages && !expected.includes(packages)) {
      return { status: 'failed', detail: `the system is ${packages} on an ${kernel} machine`, remedy };
    }
    return { status: 'ok', detail: kernel };
  },
);

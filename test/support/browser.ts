import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);

export interface BrowserVisit {
  status: number;
  title: string;
  heading: string;
  /** Messages of the console that are errors or warnings, and uncaught exceptions. */
  problems: string[];
  /** URLs that were asked for on other hosts. */
  externalRequests: string[];
  /** Whether the page is wider than the window. */
  overflows: boolean;
  screenshot: string;
}

/**
 * Opens a page in a real Chromium, with the domain pinned to an address and the certificate of a test authority
 * accepted. Throws when no Chromium is installed.
 */
export async function visitInChromium(options: {
  domain: string;
  address: string;
  width: number;
  colorScheme: 'light' | 'dark';
  screenshot: string;
}): Promise<BrowserVisit> {
  if (!executablePath) throw new Error('Chromium is not installed: apt-get install chromium');
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--host-resolver-rules=MAP ${options.domain} ${options.address}`,
    ],
  });
  try {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: options.width, height: 900 },
      colorScheme: options.colorScheme,
    });
    const page = await context.newPage();
    const problems: string[] = [];
    const externalRequests: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (new URL(request.url()).hostname !== options.domain) externalRequests.push(request.url());
    });
    const response = await page.goto(`https://${options.domain}/`, { waitUntil: 'networkidle' });
    await page.screenshot({ path: options.screenshot, fullPage: true });
    return {
      status: response?.status() ?? 0,
      title: await page.title(),
      heading: (await page.locator('h1').first().textContent())?.trim() ?? '',
      problems,
      externalRequests,
      overflows: (await page.evaluate('document.documentElement.scrollWidth > window.innerWidth')) as boolean,
      screenshot: options.screenshot,
    };
  } finally {
    await browser.close();
  }
}

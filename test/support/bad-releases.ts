/** A change of a project that no deploy may put live. */
export interface BadRelease {
  title: string;
  file: string;
  change(text: string): string;
  /** What the error says. */
  says: RegExp;
}

/** A release that starts and then answers its health page with an error. */
export const unhealthyRelease: BadRelease = {
  title: 'a release that answers 500 on its health page',
  file: 'pages/views.py',
  change: (text) =>
    text.replace('    checks = {', '    raise RuntimeError("broken on purpose")\n    checks = {'),
  says: /\b500\b/,
};

export const badReleases: BadRelease[] = [
  {
    title: 'a release that cannot be imported',
    file: 'shop/urls.py',
    change: (text) => `${text}\nimport no_such_module\n`,
    says: /no_such_module/,
  },
  {
    title: 'a release whose web server does not start',
    file: 'shop/wsgi.py',
    change: (text) => `${text}\nimport no_such_module\n`,
    says: /no_such_module/,
  },
  unhealthyRelease,
  {
    title: 'a release whose worker does not start',
    file: 'shop/celery.py',
    change: (text) =>
      `${text}\nimport sys\n\nif "worker" in sys.argv:\n    raise RuntimeError("broken on purpose")\n`,
    says: /worker.*broken on purpose/,
  },
  {
    title: 'a release whose settings are refused by check --deploy',
    file: 'shop/settings/production.py',
    change: (text) => `${text}\nSECURE_REFERRER_POLICY = "nonsense"\n`,
    says: /security\.E023/,
  },
  {
    title: 'a release whose static files cannot be collected',
    file: 'static/site.css',
    change: (text) => `${text}\n.broken { background: url("no-such-picture.png"); }\n`,
    says: /collectstatic.*no-such-picture/,
  },
  {
    title: 'a release whose lock file names a package that does not exist',
    file: 'uv.lock',
    change: (text) =>
      text
        .replace(/(name = "django-guid"\nversion = )"[^"]+"/, '$1"99.99.99"')
        .replace(/django_guid-[\d.]+(?=[-.])/g, 'django_guid-99.99.99'),
    says: /django-guid|django_guid/,
  },
  {
    title: 'a release that needs a package which its lock file lacks',
    file: 'uv.lock',
    change: (text) => text.replace(/\[\[package\]\]\nname = "pymemcache"\n[\s\S]*?(?=\[\[package\]\])/, ''),
    says: /pymemcache/,
  },
];

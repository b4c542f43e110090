/** The GitHub actions that rendered workflows use: tag and the commit that it named when it was last reviewed. */
const actions = {
  'actions/checkout': { tag: 'v7.0.1', commit: '3d3c42e5aac5ba805825da76410c181273ba90b1' },
  'super-linter/super-linter/slim': {
    tag: 'v8.7.0',
    commit: '4ce20838b8ab83717e78138c5b3a1407148e0918',
  },
  'astral-sh/setup-uv': { tag: 'v10.0.1', commit: '20cfd1bf945f4377ade1205e4dbc17946fc9a30d' },
} as const;

/**
 * The value of a workflow's `uses:` for an action: pinned by full commit SHA, the tag as a comment, as GitHub's
 * guide to secure use asks (and as Dependabot reads it).
 */
export function action(name: keyof typeof actions): string {
  const { tag, commit } = actions[name];
  return `${name}@${commit} # ${tag}`;
}

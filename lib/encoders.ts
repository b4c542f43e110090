/**
 * Encoders for values inserted into templates: each returns the text of one literal in its language, so that
 * no value can end a string early or become syntax.
 */
export const encoders = {
  /** A JSON string, number or boolean. */
  json: (value: unknown): string => JSON.stringify(value),

  /** A Python string literal. */
  py: (value: string): string => JSON.stringify(value),

  /** A YAML scalar: JSON strings are YAML's double-quoted style. */
  yaml: (value: unknown): string => JSON.stringify(value),

  /** A TOML basic string. */
  toml: (value: string): string => JSON.stringify(value).replaceAll('\u007f', '\\u007F'),

  /** One word of a POSIX shell command. */
  sh: (value: string): string =>
    /^[A-Za-z0-9_@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`,

  /** Text of an HTML element or a quoted attribute. */
  html: (value: string): string =>
    value
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;'),
};

/** What a line of ManageSieve is made of, RFC 5804 §4. */
export type Token =
  /** A word or a number, in latin1. */
  | { readonly type: 'atom'; readonly text: string }
  /** Of a quoted string, without its escapes, or of a literal. */
  | { readonly type: 'string'; readonly octets: Buffer }
  /** Around a response code: servers only. */
  | { readonly type: 'parenthesis'; readonly text: '(' | ')' }

/** Whose lines they are. */
export type Speaker = 'client' | 'server'

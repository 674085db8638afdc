/** The `--backend` argument of `npm start`: a URL such as `pops://pop.example.net:995`. */

export interface BackendUrl {
  readonly protocol: 'pop' | 'pops' | 'imap' | 'imaps'
  readonly host: string
  /** Undefined: the protocol's usual port. */
  readonly port: number | undefined
}

const synonyms: Readonly<Record<string, BackendUrl['protocol']>> = {
  pop: 'pop',
  pop3: 'pop',
  pops: 'pops',
  pop3s: 'pops',
  imap: 'imap',
  imap4: 'imap',
  imaps: 'imaps',
}

/** Throws an Error that says what a valid value looks like. */
export function parseBackendUrl(text: string): BackendUrl {
  const wanted =
    'give it as pop://HOST, pops://HOST, imap://HOST or imaps://HOST, with :PORT if it is not the usual one'
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Error(`--backend ${text}: not a URL; ${wanted}`)
  }
  const protocol = synonyms[url.protocol.slice(0, -1)]
  if (protocol === undefined)
    throw new Error(`--backend ${text}: unknown protocol ${url.protocol.slice(0, -1)}; ${wanted}`)
  if (url.hostname === '') throw new Error(`--backend ${text}: the host is missing; ${wanted}`)
  if (url.username !== '' || url.password !== '')
    throw new Error(
      '--backend: leave user name and password out; each user logs in to Wherry with those of the backend',
    )
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '')
    throw new Error(`--backend ${text}: nothing may follow the host and port; ${wanted}`)
  return {
    protocol,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? undefined : Number(url.port),
  }
}

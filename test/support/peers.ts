/** The real peers that the tests run against, and the Debian packages that bring them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { absentUnpacked, unpack } from './unpacked.ts'

const peers: Readonly<Record<string, string>> = {
  dovecot: 'dovecot-imapd dovecot-pop3d dovecot-lmtpd',
  mbsync: 'isync',
  neomutt: 'neomutt bsdutils',
  exim4: 'exim4-daemon-light',
  fetchmail: 'fetchmail',
  imapfilter: 'imapfilter',
  offlineimap: 'offlineimap3',
  python3: 'python3',
  mpop: 'mpop',
  getmail: 'getmail6',
  gsasl: 'gsasl',
  procmail: 'procmail',
  curl: 'curl',
  strace: 'strace',
  openssl: 'openssl',
  ip: 'iproute2',
  bindfs: 'bindfs',
  fusermount3: 'fuse3',
  rsync: 'rsync',
  'sieve-connect': 'sieve-connect',
  swaks: 'swaks',
  slapd: 'slapd libsasl2-modules',
  ldapsearch: 'ldap-utils',
  zsh: 'zsh',
}

const missing = () =>
  Object.keys(peers).filter(
    (command) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${command}`]).status !== 0,
  )

/** Installs what is missing when it may (root on Debian). Throws with the command to run when it may not. */
export function ensurePeers(): void {
  installMissing()
  for (const name of absentUnpacked()) {
    console.log(`unpacking a test peer: ${name}`)
    unpack(name)
  }
}

function installMissing(): void {
  const absent = missing()
  if (absent.length === 0) return
  const packages = absent.flatMap((command) => peers[command]!.split(' '))
  const install = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (process.getuid?.() !== 0 || spawnSync('sh', ['-c', 'command -v apt-get']).status !== 0)
    throw new Error(`The tests need ${absent.join(', ')}. Install them first, for example: sudo ${install}`)
  console.log(`installing the test peers: ${packages.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  execFileSync('sh', ['-c', install], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const still = missing()
  if (still.length > 0) throw new Error(`still missing after the installation: ${still.join(', ')}`)
}

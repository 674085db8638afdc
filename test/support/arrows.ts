/** Holds the import directions of CONTRIBUTING.md: a room may import from the rooms listed for it and from itself. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
const libraries = [
  'src/base',
  'src/mime',
  'src/proto',
  'src/config',
  'src/sieve',
  'src/store',
  'src/auth',
  'src/events',
  'src/oauth',
  'src/submission',
  'src/delivery',
  'src/sharing',
  'src/certificate',
]
const server = [...libraries, 'src/server']

/** Longest matching key is a file's room; `#` entries are packages that only this room may import. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  'src/base': [],
  'src/config': ['src/base'],
  'src/mime': ['src/base'],
  'src/proto': ['src/base', 'src/mime'],
  'src/sieve': ['src/base', 'src/mime', 'src/proto'],
  'src/store': ['src/base', 'src/mime', 'src/proto'],
  'src/auth': ['src/base', 'src/proto', 'src/config'],
  'src/events': ['src/base', 'src/proto'],
  'src/oauth': ['src/base', 'src/config'],
  'src/submission': ['src/base', 'src/config'],
  'src/delivery': [
    'src/base',
    'src/mime',
    'src/config',
    'src/sieve',
    'src/store',
    'src/auth',
    'src/sharing',
    'src/submission',
  ],
  'src/certificate': ['src/base', 'src/events'],
  'src/sharing': ['src/base', 'src/proto', 'src/config', 'src/auth', 'src/store'],
  'src/server': libraries,
  'src/imapd': server,
  'src/pop3d': server,
  'src/lmtpd': server,
  'src/sieved': server,
  'src/mseventd': server,
  'src/msadmind': server,
  'src/cli': server,
  'src/admin': server,
  'gateway/backend': [...server],
  'gateway/sync': [...server, 'gateway/backend'],
  'gateway/ms_syncd': [...server, 'gateway/backend', 'gateway/sync'],
  migrate: [...server, 'gateway/backend', 'gateway/sync', 'gateway/ms_syncd'],
}
const ownPackages: Readonly<Record<string, string | readonly string[]>> = {
  'node-pop3': 'gateway/backend',
  imapflow: ['gateway/backend', 'src/cli/msadm/expiry'],
  'p-queue': 'gateway/ms_syncd',
  jose: 'src/auth',
  nodemailer: 'src/submission',
  'fast-xml-parser': 'src/config',
  ldapts: ['src/config/ldap', 'src/auth/directory'],
}

const roomOf = (file: string) =>
  Object.keys(rooms)
    .filter((room) => file.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0]

const faults: string[] = []
for (const file of globSync('{src,gateway,migrate}/**/*.ts', { cwd: root })) {
  const room = roomOf(file)
  if (room === undefined) {
    faults.push(`${file}: in no room of test/support/arrows.ts`)
    continue
  }
  const text = readFileSync(join(root, file), 'utf8')
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    const specifier = match[1]!
    const line = text.slice(0, match.index).split('\n').length
    const target = specifier.startsWith('#')
      ? specifier.slice(1)
      : specifier.startsWith('.')
        ? normalize(join(dirname(file), specifier))
        : undefined
    if (target === undefined) {
      const packageName = specifier.startsWith('@')
        ? specifier.split('/').slice(0, 2).join('/')
        : specifier.split('/')[0]!
      const owners = [ownPackages[packageName] ?? []].flat()
      if (owners.length > 0 && !owners.some((owner) => file.startsWith(`${owner}/`)))
        faults.push(`${file}:${line}: only ${owners.join(' and ')} imports ${packageName}`)
      if (room === 'src/base' && !specifier.startsWith('node:'))
        faults.push(`${file}:${line}: src/base imports node: only`)
      continue
    }
    const targetRoom = roomOf(target)
    if (targetRoom === room) continue
    if (targetRoom === undefined || !rooms[room]!.includes(targetRoom))
      faults.push(`${file}:${line}: ${room} may not import ${specifier}`)
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'))
  process.exitCode = 1
} else console.log('import arrows hold')

import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonical } from '#src/certificate/canonical.ts'
import { cell, csvHeading, csvLine } from '#src/certificate/csv.ts'
import type { Entry } from '#src/certificate/format.ts'
import { certificateHtml } from '#src/certificate/html.ts'
import { indexCsv, indexHtml, newestCertificates } from '#src/certificate/overview.ts'
import { certificateLines, faultsOf } from '#src/certificate/reader.ts'
import { SigningKey } from '#src/certificate/signing-key.ts'
import { TreeHash } from '#src/certificate/tree-hash.ts'
import { CertificateError, CertificateWriter } from '#src/certificate/writer.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certificate-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

it('the tree hash has the roots that are known of the leaves which implementations of RFC 6962 are tested with', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const roots = [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]
  const tree = new TreeHash()
  expect(tree.root()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  for (const [index, leaf] of leaves.entries()) {
    tree.add(Buffer.from(leaf, 'hex'))
    expect(tree.root()).toBe(roots[index])
  }
})

it('the canonical form sorts by UTF-16 code units (RFC 8785 §3.2.3) and takes no fractions', () => {
  const value = { '\u20ac': 'Euro', '\r': 'CR', '\ufb33': 'Dalet', '1': [true, null], '\u{1f600}': { b: 1, a: 'ö"\\' } }
  expect(canonical(value)).toBe(
    '{"\\r":"CR","1":[true,null],"\u20ac":"Euro","\u{1f600}":{"a":"ö\\"\\\\","b":1},"\ufb33":"Dalet"}',
  )
  expect(() => canonical(0.5)).toThrow(RangeError)
  expect(() => canonical('\ud800')).toThrow(RangeError)
})

const entry = (uid: number, more: Partial<Entry> = {}): Entry => ({
  id: `imap://joe@old/7/${uid}`,
  from: 'INBOX',
  uidThere: uid,
  mailbox: 'INBOX',
  uid,
  octets: 10,
  digest: 'ab'.repeat(32),
  ...more,
})
const exception: Entry = { id: 'imap://joe@old/7/9', from: '<b>&"\'', exception: 'stub', detail: '=1+1' }
const inbox = {
  backend: 'imap://joe@old/',
  from: 'INBOX',
  mailbox: 'INBOX',
  inOrder: true,
  replayed: true,
  isOther: false,
}
const facts = {
  account: 'joe@example.org',
  made: '2026-11-28T05:00:00.000Z',
  occasion: 'asked',
  backends: ['imap://joe@old/'],
  digests: 'recorded',
  others: 0,
} as const

/** Two mailboxes, and an empty one between them. */
const written = async (name: string, messages: number) => {
  const key = await SigningKey.readOrMake(directory)
  await using writer = await CertificateWriter.open(directory)
  const first = writer.mailbox()
  for (let uid = 1; uid <= messages; uid++) await first.add(entry(uid, uid === 2 ? { uid: 99, differs: ['uid'] } : {}))
  first.end({ ...inbox, listed: messages })
  writer.mailbox().end({ ...inbox, from: 'Empty', listed: 0 })
  const second = writer.mailbox()
  await second.add(exception)
  second.end({ ...inbox, from: exception.from, listed: 1 })
  return await writer.finish(facts, key, name)
}

/** A block of code in the document for outsiders. */
const documented = async (language: string): Promise<string> => {
  const text = await readFile(resolve(import.meta.dirname, '../../docs/certificate.md'), 'utf8')
  return new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(text)![1]!
}

describe('a certificate', () => {
  it('is checked by the program and the commands of docs/certificate.md, and by ours; one changed character is found by all', async () => {
    const { file, statement } = await written('1.json', 21)
    expect(statement).toMatchObject({
      listed: 22,
      here: 21,
      exceptions: { stub: 1 },
      octets: 210,
      again: 1,
      mailboxes: 3,
    })
    const { publicPem } = await SigningKey.readOrMake(directory)
    expect((await stat(join(directory, 'signing-key.pem'))).mode & 0o777).toBe(0o600)
    await writeFile(join(directory, 'key.pem'), publicPem)
    await writeFile(join(directory, 'check.mjs'), await documented('js'))
    const node = (name: string) =>
      spawnSync(process.execPath, ['check.mjs', name, 'key.pem'], { cwd: directory, encoding: 'utf8' }).stdout
    expect(node('1.json')).toBe('joe@example.org: as it was signed\n')
    await writeFile(join(directory, 'joe.json'), await readFile(file))
    const openssl = async () =>
      spawnSync('sh', ['-c', await documented('sh')], { cwd: directory, encoding: 'utf8' }).stdout
    expect(await openssl()).toContain('Signature Verified Successfully')
    expect(await faultsOf(file, publicPem)).toEqual([])

    const text = await readFile(file, 'utf8')
    const forge = async (from: string, to: string) => {
      expect(text).toContain(from)
      await writeFile(join(directory, 'joe.json'), text.replace(from, to))
      return { ours: await faultsOf(join(directory, 'joe.json'), publicPem), node: node('joe.json') }
    }
    expect(await forge('"uid":21,', '"uid":22,')).toEqual({
      ours: ['"INBOX": its entries are not those that its root is of'],
      node: 'wrong: root of INBOX\n',
    })
    expect(await forge('"from":"Empty"', '"from":"Emptx"')).toEqual({
      ours: ['its mailboxes are not those that its root is of'],
      node: 'wrong: root\n',
    })
    expect(await forge('"account":"joe@', '"account":"jon@')).toEqual({
      ours: ['its signature is wrong'],
      node: 'wrong: signature\n',
    })
    expect(await openssl()).not.toContain('Successfully')
    const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString()
    expect(await faultsOf(file, other)).toEqual(['it is signed with another key'])
  })

  it('is not signed when it does not add up, and nothing is left then', async () => {
    const key = await SigningKey.readOrMake(directory)
    const before = await readdir(directory)
    {
      await using writer = await CertificateWriter.open(directory)
      const short = writer.mailbox()
      await short.add(entry(1))
      expect(() => short.end({ ...inbox, listed: 2 })).toThrow(CertificateError)
      const twice = writer.mailbox()
      await twice.add(entry(1))
      await twice.add(entry(2, { uid: 1 }))
      expect(() => twice.end({ ...inbox, listed: 2 })).toThrow(/stands for two/)
      expect(() => writer.mailbox().add({ ...exception, exception: undefined } as unknown as Entry)).toThrow(/neither/)
      expect(() => writer.mailbox().add(entry(3, { exception: 'stub' }))).toThrow(/both/)
    }
    expect(await readdir(directory)).toEqual(before)
    expect(key.id).toMatch(/^[0-9a-f]{64}$/)
  })

  it('as HTML: exceptions first, everything escaped; as CSV: no formula for a spreadsheet', async () => {
    const { file } = await written('2.json', 3)
    let html = ''
    for await (const piece of certificateHtml(() => certificateLines(file))) html += piece
    expect(html).not.toContain('<b>')
    expect(html.indexOf('Messages that are not here')).toBeLessThan(html.indexOf('Mailboxes'))
    expect(html).toContain('<td>&#60;b&#62;&#38;&#34;&#39;</td><td>imap://joe@old/7/9</td>')
    expect(csvHeading.split(',').length).toBe(csvLine(entry(1)).split(',').length)
    expect(csvLine(exception)).toBe('imap://joe@old/7/9,"<b>&""\'",,,,,,,,,,stub,"\'=1+1",\r\n')
    expect(cell('a,b\r\n"c"')).toBe('"a,b\r\n""c"""')
  })

  it('of many accounts one table: those with exceptions first, and who has none', async () => {
    const all = join(directory, 'all')
    await mkdir(join(all, 'ann'), { recursive: true })
    await mkdir(join(all, 'joe'))
    await mkdir(join(all, 'nobody'))
    const key = await SigningKey.readOrMake(all)
    for (const [name, when, messages] of [
      ['ann', '2026-11-28T05-00', 1],
      ['joe', '2026-11-28T05-00', 1],
      ['joe', '2026-11-28T06-00', 2],
    ] as const) {
      await using writer = await CertificateWriter.open(join(all, name))
      const entries = writer.mailbox()
      await entries.add(entry(1))
      if (messages === 2) await entries.add(exception)
      entries.end({ ...inbox, listed: messages })
      await writer.finish({ ...facts, account: `${name}@example.org` }, key, `${when}.json`)
    }
    await mkdir(join(all, 'torn'))
    await writeFile(join(all, 'torn', '2026-11-28T05-00.json'), '{"statement":')
    const { certificates: newest, faults } = await newestCertificates(all)
    expect(faults).toEqual([expect.stringMatching(/torn.* is no certificate as it was written/)])
    expect(newest.map(({ statement: { account, listed, here } }) => [account, listed, here])).toEqual([
      ['ann@example.org', 1, 1],
      ['joe@example.org', 2, 1],
    ])
    const lines = [...indexCsv(newest)].join('').trim().split('\r\n')
    expect(lines[2]).toMatch(/^joe@example\.org,.*,2,1,stub 1,0,0,10,[0-9a-f]{64},/)
    const html = [...indexHtml(newest, ['<eve>'])].join('')
    const places = ['&#60;eve&#62;', 'joe@example.org', 'ann@example.org'].map((text) => html.indexOf(text))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(places[0]).toBeGreaterThan(0)
    expect(await newestCertificates(join(all, 'none'))).toEqual({ certificates: [], faults: [] })
  })

  it('a key that openssl made signs; what is no Ed25519 key is refused with what to do', async () => {
    const file = join(directory, 'own.pem')
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', file])
    expect((await SigningKey.read(file)).publicPem).toBe(
      execFileSync('openssl', ['pkey', '-in', file, '-pubout'], { encoding: 'utf8' }),
    )
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed448', '-out', file])
    await expect(SigningKey.read(file)).rejects.toThrow(/openssl genpkey -algorithm ed25519/)
    await writeFile(file, 'nothing')
    await expect(SigningKey.read(file)).rejects.toMatchObject({ kind: 'invalid' })
  })
})

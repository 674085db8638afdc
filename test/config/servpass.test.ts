/** SRV-07: passwords in ms.conf that are encrypted. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError, formatFinding } from '#src/config/finding.ts'
import { checkConfig, loadConfig } from '#src/config/ms-conf.ts'
import { encryptFile, encryptText } from '#src/config/servpass/encrypt-file.ts'
import { type KeyFile, keyFileOf, readKeyFile, writeKeyFile } from '#src/config/servpass/key-file.ts'
import { keyOf, newSalt, parseSealed, seal, verifierOf } from '#src/config/servpass/seal.ts'

const key: KeyFile = { passphrase: '1234567890abcABC', salt: newSalt() }
const secret = 'My#Secret7_pwd & <ü>'
let directory: string
let file: string
let info: string
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'servpass-'))
  file = join(directory, 'ms.conf')
  await writeKeyFile(keyFileOf(file, 'isode.mbox'), key, undefined)
  info = `<servpass:info service="isode.mbox" verifier="${verifierOf(await keyOf(key.passphrase, key.salt), key.salt)}"/>`
})
afterEach(() => rmSync(directory, { recursive: true }))

const write = (inner: string) => writeFileSync(file, `<ms_options>\n${inner}\n</ms_options>\n`, { mode: 0o640 })
const marked = (name: string, text = 'My#Secret7_pwd &amp; &lt;ü&gt;') =>
  `<${name} servpass:encrypt='true'>${text}</${name}>`
const certificate = '<tls_cert_file>a.pem</tls_cert_file>'
const findings = async (): Promise<string> => (await checkConfig(file)).findings.map(formatFinding).join('\n')

describe('spasscrypt -e', () => {
  it('encrypts what is marked and leaves the rest as it is; who reads the configuration gets the password', async () => {
    const rest = `<!-- ${marked('ldap_bind_pwd')} -->\n${certificate}<ldap_bind_pwd >in clear</ldap_bind_pwd >`
    write(`${info}${rest}${marked('tls_key_password')}<sasl>${marked('ldapdb_pw', '<![CDATA[other <b>]]>')}</sasl>`)
    expect(await encryptFile(file, key)).toBe(2)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain(rest)
    expect(text.replace(rest, '')).not.toMatch(/Secret7|other/)
    expect(statSync(file).mode & 0o777).toBe(0o640)
    const { config } = await loadConfig(file)
    expect(config.get('tls_key_password')).toBe(secret)
    expect(config.get('ldapdb_pw')).toBe('other <b>')
    expect(config.get('ldap_bind_pwd')).toBe('in clear')
    expect(await encryptFile(file, key)).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  it('does not tell how long a password is, nor that two are the same', async () => {
    write(
      info +
        marked('tls_key_password', 'a') +
        marked('ldap_bind_pwd', 'a') +
        marked('config_cache_pwd', 'a long password'),
    )
    const { text } = await encryptText(readFileSync(file, 'utf8'), file, key)
    const sealed = [...text.matchAll(/\{servpass1\}([^<]+)/g)].map(([, octets]) => octets!)
    expect(new Set(sealed).size).toBe(3)
    expect(new Set(sealed.map(({ length }) => length)).size).toBe(1)
  })

  it('is refused with a key that the verifier does not belong to, and for an element with elements', async () => {
    write(info + marked('tls_key_password'))
    await expect(encryptFile(file, { ...key, passphrase: 'Another1234' })).rejects.toThrow(
      'the verifier in <servpass:info>',
    )
    write(info + marked('sasl', '<ldapdb_pw>x</ldapdb_pw>'))
    await expect(encryptFile(file, key)).rejects.toThrow('servpass:encrypt is for elements with a password')
  })
})

describe('a configuration with encrypted passwords', () => {
  const encrypted = async (name = 'tls_key_password') => {
    write(info + certificate + marked(name))
    await encryptFile(file, key)
    return readFileSync(file, 'utf8')
  }

  it('is refused when anything of one was changed', async () => {
    const text = await encrypted()
    const at = text.indexOf('{servpass1}') + '{servpass1}'.length
    const octets = Buffer.from(text.slice(at, text.indexOf('<', at)), 'base64')
    const whole = text.slice(at, text.indexOf('<', at))
    for (const index of [0, 15, 16, 27, 28, 40, octets.length - 17, octets.length - 16, octets.length - 1]) {
      const changed = Buffer.from(octets)
      changed[index]! ^= 1
      writeFileSync(file, text.replace(whole, changed.toString('base64')))
      expect(await findings(), `octet ${index}`).toContain('tls_key_password: is not what spasscrypt encrypted for it')
    }
    for (const length of [0, 20, 44, octets.length - 1]) {
      writeFileSync(file, text.replace(whole, octets.subarray(0, length).toString('base64')))
      expect(await findings(), `${length} octets`).toMatch(/tls_key_password: is not what spasscrypt/)
    }
  })

  it('is refused when one was moved to another option', async () => {
    writeFileSync(file, (await encrypted()).replaceAll('tls_key_password', 'ldap_bind_pwd'))
    expect(await findings()).toContain('ldap_bind_pwd: is not what spasscrypt encrypted for it')
  })

  it('is refused without its key, with another one, and without <servpass:info>', async () => {
    const text = await encrypted()
    const path = keyFileOf(file, 'isode.mbox')
    await writeKeyFile(path, { ...key, passphrase: 'Another1234' }, undefined)
    expect(await findings()).toContain('servpass:info: the verifier is not that of the service key isode.mbox')
    rmSync(path)
    expect(await findings()).toMatch(
      /servpass:info: the service key .* can't be read \(ENOENT\); make it with spassmgt set/,
    )
    writeFileSync(file, text.replace(/<servpass:info[^>]*>/, ''))
    expect(await findings()).toContain('tls_key_password: is encrypted, and no <servpass:info> says')
    await expect(loadConfig(file)).rejects.toBeInstanceOf(ConfigError)
  })

  it('checks the verifier also where nothing is encrypted', async () => {
    write(info.replace(/verifier="./, 'verifier="+'))
    expect(await findings()).toContain('the verifier is not that of the service key')
    write(info.replace('isode.mbox', '../mbox'))
    expect(await findings()).toContain('"../mbox" is not the name of a service')
  })

  it('is refused when others may read the key', async () => {
    await encrypted()
    chmodSync(keyFileOf(file, 'isode.mbox'), 0o640)
    await expect(readKeyFile(keyFileOf(file, 'isode.mbox'))).rejects.toThrow('others may read')
    expect(await findings()).toContain('others may read')
  })

  it('never shows a password or the passphrase in what it says', async () => {
    const text = await encrypted()
    await writeKeyFile(keyFileOf(file, 'isode.mbox'), { ...key, passphrase: 'Another1234' }, undefined)
    const said = [await findings()]
    writeFileSync(file, text.replaceAll('tls_key_password', 'ldap_bind_pwd'))
    said.push(await findings())
    expect(said.join('\n')).not.toMatch(/Secret7|Another1234|1234567890/)
    expect(JSON.stringify((await checkConfig(file)).config ?? {})).not.toContain('Secret7')
  })

  it('says what is marked and still in clear; marks count on passwords only', async () => {
    write(info + certificate + marked('tls_key_password'))
    expect(await findings()).toContain(
      'tls_key_password: is marked servpass:encrypt and still in clear; run spasscrypt -e',
    )
    expect((await loadConfig(file)).config.get('tls_key_password')).toBe(secret)
    write(marked('run_dir', '/tmp'))
    expect(await findings()).toContain('run_dir: has servpass:encrypt, which is for passwords only')
  })
})

it('a sealed text opens with its key and option alone', async () => {
  const [one, other] = [await keyOf('Passphrase1', key.salt), await keyOf('Passphrase2', key.salt)]
  for (const password of ['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'ü'.repeat(500)]) {
    const sealed = parseSealed(seal(one, key.salt, 'ldapdb_pw', password))!
    expect(sealed.open(one, 'ldapdb_pw')).toBe(password)
    expect(sealed.open(one, 'ldap_bind_pwd')).toBeUndefined()
    expect(sealed.open(other, 'ldapdb_pw')).toBeUndefined()
  }
})

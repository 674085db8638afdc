/** What spasscrypt -e does to ms.conf. */
import { randomBytes } from 'node:crypto'
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { ConfigError } from '../finding.ts'
import { isMarked } from '../option.ts'
import { parseXml, type XmlElement } from '../xml.ts'
import { type KeyFile, KeyFileFault } from './key-file.ts'
import { markedTexts } from './marked-text.ts'
import { fits, isSealed, keyOf, parseSealed, saltOfVerifier, seal } from './seal.ts'

/** Encrypts what is marked and still in clear; everything else stays octet by octet. Answers the text and how many passwords it encrypted. Throws ConfigError, KeyFileFault. */
export const encryptText = async (
  xml: string,
  file: string,
  { passphrase, salt }: KeyFile,
): Promise<{ readonly text: string; readonly encrypted: number }> => {
  const root = parseXml(Buffer.from(xml), file)
  const elements = markedIn(root)
  const texts = markedTexts(xml)
  const nested = elements.find(({ children }) => children.length > 0)
  if (nested !== undefined || texts.length !== elements.filter(({ text }) => text !== '').length)
    throw fault(
      file,
      (nested ?? root).line,
      'servpass:encrypt is for elements with a password and nothing else in them',
    )
  // The file's verifier has the salt that its reader needs anyway.
  const info = root.children.find(({ name }) => name === 'servpass:info')?.attributes.get('verifier')
  const own = info === undefined ? salt : saltOfVerifier(info.value)
  const key = own && (await keyOf(passphrase, own))
  if (own === undefined || key === undefined || (info !== undefined && !fits(info.value, key)))
    throw new KeyFileFault(
      'the verifier in <servpass:info> is not that of this service key; put there what spassmgt get prints',
    )
  let text = ''
  let encrypted = 0
  let done = 0
  const filled = elements.filter(({ text }) => text !== '')
  for (const [index, { name, start, end }] of texts.entries()) {
    const password = filled[index]!.text
    if (isSealed(password.trim())) {
      if (
        parseSealed(password.trim())?.open(await keyOf(passphrase, parseSealed(password.trim())!.salt), name) ===
        undefined
      )
        throw fault(file, filled[index]!.line, `${name} was encrypted with another passphrase; write it in clear`)
      continue
    }
    text += xml.slice(done, start) + seal(key, own, name, password)
    done = end
    encrypted++
  }
  return { text: text + xml.slice(done), encrypted }
}

/** In place, in one step, with owner and mode as they were. Answers how many passwords it encrypted. */
export const encryptFile = async (path: string, keyFile: KeyFile): Promise<number> => {
  const file = await realpath(path)
  const [octets, { mode, uid, gid }] = await Promise.all([readFile(file), stat(file)])
  const { text, encrypted } = await encryptText(octets.toString(), file, keyFile)
  if (encrypted === 0) return 0
  const fresh = `${file}.${randomBytes(6).toString('hex')}`
  const handle = await open(fresh, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.chown(uid, gid)
    await handle.chmod(mode & 0o777)
    await handle.sync()
    await rename(fresh, file)
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  return encrypted
}

const markedIn = (element: XmlElement): readonly XmlElement[] => [
  ...(isMarked(element) ? [element] : []),
  ...element.children.flatMap(markedIn),
]

const fault = (file: string, line: number, message: string) =>
  new ConfigError([{ severity: 'error', file, line, option: undefined, message }])

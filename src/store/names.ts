/**
 * Names become paths here and nowhere else. A level of a mailbox name, or a user id, is one directory name made of lower-case
 * letters, digits, a few marks, and letters that know no case; '^' before a letter makes it upper case and %XX stands for any
 * other octet of UTF-8. So a name can't meet `..`, a slash, mdir's own folders, a hidden file, or on a file system that folds case or
 * normalises Unicode another name, and every directory name reads back to exactly one name.
 */

import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'

/** Folders of a mailbox or account that hold something else than a child mailbox. */
const reserved = new Set(['msg', 'log', 'tmp', 'cache'])
/** The file systems' own limit on one name. */
const maxDirectoryNameOctets = 255
/** Levels below each other; keeps the whole path below PATH_MAX with names of ordinary length. */
const maxLevels = 32
const maxNameOctets = 1000
const maxPathOctets = 3000

const safe = /^[a-z0-9 _+@=~!#&'(),;[\]{}$-]$/

function escapeCharacter(character: string): string {
  if (safe.test(character) || character === '.') return character
  if (character >= 'A' && character <= 'Z') return `^${character.toLowerCase()}`
  // A letter or digit beyond ASCII stays as it is when no file system could take it for another one.
  if (
    character > '\x7f' &&
    /^[\p{Lo}\p{Nd}]$/u.test(character) &&
    character.toLowerCase() === character.toUpperCase() &&
    character.normalize('NFKD') === character
  )
    return character
  return escapeOctets(character)
}

function escapeOctets(text: string): string {
  let escaped = ''
  for (const octet of Buffer.from(text, 'utf8')) escaped += `%${octet.toString(16).padStart(2, '0')}`
  return escaped
}

/** Directory name of one level. The text is well-formed and not empty. */
export function escapeLevel(level: string): string {
  if (reserved.has(level)) return escapeOctets(level[0]!) + level.slice(1)
  const characters = [...level]
  const last = characters.length - 1
  return characters
    .map((character, index) =>
      // Hidden files begin with a dot; some file systems drop dots and spaces at the end.
      (character === '.' && (index === 0 || index === last)) || (character === ' ' && (index === 0 || index === last))
        ? escapeOctets(character)
        : escapeCharacter(character),
    )
    .join('')
}

/** The level that a directory name stands for; undefined for a name that `escapeLevel` never makes. */
export function unescapeLevel(directory: string): string | undefined {
  if (directory === '' || reserved.has(directory)) return undefined
  const pieces: Buffer[] = []
  for (let at = 0; at < directory.length; ) {
    const character = String.fromCodePoint(directory.codePointAt(at)!)
    if (character === '%') {
      const digits = directory.slice(at + 1, at + 3)
      if (!/^[0-9a-f]{2}$/.test(digits)) return undefined
      pieces.push(Buffer.from(digits, 'hex'))
      at += 3
    } else if (character === '^') {
      const letter = directory.slice(at + 1, at + 2)
      if (!/^[a-z]$/.test(letter)) return undefined
      pieces.push(Buffer.from(letter.toUpperCase()))
      at += 2
    } else {
      pieces.push(Buffer.from(character))
      at += character.length
    }
  }
  const level = Buffer.concat(pieces).toString('utf8')
  return level !== '' && escapeLevel(level) === directory ? level : undefined
}

/** INBOX is one name in any case, also as the first level of another name. RFC 9051 §5.1 */
function canonicalFirst(level: string): string {
  return level.length === 5 && level.toUpperCase() === 'INBOX' ? 'INBOX' : level
}

/**
 * The name as the store keeps it: NFC, INBOX in upper case.
 * Throws StoreError invalid (which says what is wrong) or limit.
 */
export function canonicalName(name: string): string {
  if (name === '') throw new StoreError('invalid', 'A mailbox name is empty')
  if (!name.isWellFormed()) throw new StoreError('invalid', 'A mailbox name is not well-formed Unicode')
  if (/[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]/.test(name))
    throw new StoreError('invalid', 'A mailbox name contains a control character')
  // RFC 9051 §5.1: clients may send either form; one mailbox has one name. RFC 5198 §2
  const levels = name.normalize('NFC').split('/')
  if (levels.includes('')) throw new StoreError('invalid', 'A mailbox name has an empty level ("//", or "/" at an end)')
  if (levels.includes('.') || levels.includes('..'))
    throw new StoreError('invalid', 'A level of a mailbox name is "." or ".."')
  if (levels.length > maxLevels) throw new StoreError('limit', `A mailbox name has more than ${maxLevels} levels`)
  levels[0] = canonicalFirst(levels[0]!)
  const canonical = levels.join('/')
  if (Buffer.byteLength(canonical) > maxNameOctets)
    throw new StoreError('limit', `A mailbox name is longer than ${maxNameOctets} octets`)
  if (levels.some((level) => Buffer.byteLength(escapeLevel(level)) > maxDirectoryNameOctets))
    throw new StoreError('limit', 'A level of a mailbox name is too long for the file system')
  return canonical
}

/** Path of a mailbox below its account's directory. `name` is canonical. */
export function mailboxPath(name: string): string {
  const levels = name.split('/')
  const path = levels.map((level, index) => (index === 0 && level === 'INBOX' ? level : escapeLevel(level))).join('/')
  if (Buffer.byteLength(path) > maxPathOctets)
    throw new StoreError('limit', 'A mailbox name is too long for the file system')
  return path
}

/** Name of the child that a directory entry stands for; undefined for whatever else lies there. */
export function childName(parent: string, directory: string): string | undefined {
  if (parent === '' && directory === 'INBOX') return 'INBOX'
  const level = unescapeLevel(directory)
  if (level === undefined) return undefined
  const name = parent === '' ? level : `${parent}/${level}`
  try {
    return canonicalName(name) === name ? name : undefined
  } catch {
    return undefined
  }
}

/** Directory of an account in the store. Throws StoreError invalid. */
export function accountDirectory(userId: UserId): string {
  if (userId === '' || !userId.isWellFormed() || /[\x00-\x1f\x7f-\x9f]/.test(userId))
    throw new StoreError('invalid', 'A user id is empty or contains a control character')
  const directory = escapeLevel(userId)
  if (Buffer.byteLength(directory) > maxDirectoryNameOctets)
    throw new StoreError('limit', 'A user id is too long for the file system')
  return directory
}

/** The account that a directory of the store holds. */
export function accountOf(directory: string): UserId | undefined {
  return unescapeLevel(directory) as UserId | undefined
}

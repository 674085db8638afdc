/**
 * The file that an epoch is based on: a replica's image in an envelope.
 *
 *     mdir 1 base 901                        head, filled up with spaces to 64 octets, so that an image's numbers lie where it put them
 *     …                                      the image: the state as of entry 901
 *     octets 8388608 crc32 1b2c3d4e          length of the image, CRC-32 of all before the word `crc32`
 */

import { crc32 } from 'node:zlib'
import { breath } from './breath.ts'
import { DamagedEntry, laterVersion } from './change-set.ts'
import type { StoreFs } from './fs.ts'

const version = 1
const headOctets = 64
const headLine = /^mdir ([0-9]+) base ([0-9]+) *\n$/
/** Longer than any last line. */
const maxTailOctets = 64
const tailLine = /\noctets ([0-9]+) (crc32 ([0-9a-f]{8})\n)$/
/** Octets checked before others get their turn: a few ms. */
const octetsPerTurn = 4 * 1_048_576
/** Octets gathered for one write. */
const octetsPerWrite = 262_144
/** What typed arrays over the image need. */
const alignment = 8

/**
 * Writes a base, durable when resolved (its name is not), with a turn for others after each write. False, and nothing to rely on, when
 * `wanted` said no in between.
 */
export async function writeBase(
  fs: StoreFs,
  path: string,
  number: number,
  image: Iterable<Uint8Array>,
  wanted: () => Promise<boolean>,
): Promise<boolean> {
  const file = await fs.create(path)
  try {
    const head = Buffer.from(`${`mdir ${version} base ${number}`.padEnd(headOctets - 1)}\n`)
    let crc = crc32(head)
    let length = 0
    let gathered: Uint8Array[] = [head]
    let gatheredOctets = head.length
    for (const piece of image) {
      crc = crc32(piece, crc)
      length += piece.length
      gathered.push(piece)
      gatheredOctets += piece.length
      if (gatheredOctets < octetsPerWrite) continue
      await file.write(...gathered)
      if (!(await wanted())) {
        await file.discard()
        return false
      }
      gathered = []
      gatheredOctets = 0
    }
    const tail = Buffer.from(`\noctets ${length} `)
    const check = `crc32 ${crc32(tail, crc).toString(16).padStart(8, '0')}\n`
    await file.write(...gathered, tail, Buffer.from(check))
  } catch (error) {
    await file.discard()
    throw error
  }
  await file.finish()
  return true
}

/** The image as of entry `number`, aligned for typed arrays. Throws DamagedEntry, ENOENT; StoreError unavailable for a later version. */
export async function readBase(fs: StoreFs, path: string, number: number): Promise<Buffer> {
  const octets = await fs.read(path)
  const tailStart = Math.max(headOctets, octets.length - maxTailOctets)
  const head = headLine.exec(octets.toString('latin1', 0, headOctets))
  const tail = tailLine.exec(octets.toString('latin1', tailStart))
  if (head === null || tail === null) throw new DamagedEntry(`${path} is damaged`)
  const [end, ofTail, check, crc] = [octets.length - tail[0].length, tail[1]!, tail[2]!, tail[3]!]
  const whole = Number(ofTail) === end - headOctets
  if (!whole || Number.parseInt(crc, 16) !== (await crcInTurns(octets.subarray(0, octets.length - check.length))))
    throw new DamagedEntry(`${path} is damaged`)
  if (Number(head[1]) !== version) throw laterVersion(path)
  if (Number(head[2]) !== number) throw new DamagedEntry(`${path} is as of ${head[2]} and should be as of ${number}`)
  const image = octets.subarray(headOctets, end)
  return image.byteOffset % alignment === 0 ? image : alignedCopy(image)
}

async function crcInTurns(octets: Buffer): Promise<number> {
  let crc = 0
  for (let at = 0; at < octets.length; at += octetsPerTurn) {
    if (at > 0) await breath()
    crc = crc32(octets.subarray(at, at + octetsPerTurn), crc)
  }
  return crc
}

function alignedCopy(octets: Buffer): Buffer {
  const copy = Buffer.from(new ArrayBuffer(octets.length))
  octets.copy(copy)
  return copy
}

/** The body of an HTTP answer as text, held in memory: so not without a limit. Throws RangeError beyond it, and what the connection throws. */
export const boundedText = async (response: Response, maxOctets: number): Promise<string> => {
  const pieces: Uint8Array[] = []
  let octets = 0
  for await (const piece of response.body ?? []) {
    octets += piece.length
    if (octets > maxOctets) throw new RangeError(`the answer has more than ${maxOctets} octets`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

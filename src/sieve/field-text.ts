/** A text as a header field: folded, and in encoded words where it is not US-ASCII. RFC 5322 §2.2.3, RFC 2047 */

/** RFC 5322 §2.1.1 */
const lineOctets = 78
/** Octets in one encoded word, which is 75 characters at most. */
const wordOctets = 45

/** Octets in latin1, with the line end. Line ends in the text become spaces. */
export function encodedField(name: string, text: string): string {
  const plain = text.replace(/[\r\n\0]+[ \t]*/g, ' ').trim()
  const words = /^[\t -~]*$/.test(plain) ? plain.split(/(?<=\S)(?=[ \t]+\S)/) : encodedWords(plain)
  let field = `${name}: `
  let length = field.length
  for (const word of words) {
    if (length + word.length > lineOctets && /^[ \t]/.test(word)) {
      field += '\r\n'
      length = 0
    }
    field += word
    length += word.length
  }
  return `${field}\r\n`
}

function encodedWords(text: string): string[] {
  const words: string[] = []
  let piece = ''
  let octets = 0
  const end = () => {
    if (piece !== '') words.push(`${words.length === 0 ? '' : ' '}=?UTF-8?B?${Buffer.from(piece).toString('base64')}?=`)
    piece = ''
    octets = 0
  }
  for (const character of text) {
    const length = Buffer.byteLength(character)
    if (octets + length > wordOctets) end()
    piece += character
    octets += length
  }
  end()
  return words
}

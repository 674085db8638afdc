/** xtext: octets in printable ASCII. RFC 3461 §4 */

/** The text that was encoded; undefined for what is no xtext. */
export function decodeXtext(text: string): string | undefined {
  // xchar is from ! to ~ without + and =; hexchar is + and two digits, in upper case.
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text)) return undefined
  return text.replace(/\+(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}

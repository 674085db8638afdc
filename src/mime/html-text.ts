/**
 * The text of HTML, for those who want to find or show a few words of it: not a rendering. One pass, no tree; whatever is no HTML is text. Elements that are
 * not shown are left out.
 */

/** Their content is not shown. */
const hidden: ReadonlySet<string> = new Set([
  'head',
  'style',
  'script',
  'title',
  'template',
  'noscript',
  'svg',
  'math',
  'object',
])
/** They don't part words. */
const inline: ReadonlySet<string> = new Set(
  'a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup tt u var wbr'.split(
    ' ',
  ),
)

/** References that mail has; the others are numeric, or stay as they are. */
const named: ReadonlyMap<string, string> = new Map(
  Object.entries({
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    nbsp: ' ',
    shy: '',
    zwnj: '',
    zwj: '',
    ensp: ' ',
    emsp: ' ',
    thinsp: ' ',
    copy: '©',
    reg: '®',
    trade: '™',
    euro: '€',
    pound: '£',
    yen: '¥',
    cent: '¢',
    sect: '§',
    para: '¶',
    deg: '°',
    middot: '·',
    bull: '•',
    hellip: '…',
    ndash: '–',
    mdash: '—',
    lsquo: '‘',
    rsquo: '’',
    sbquo: '‚',
    ldquo: '“',
    rdquo: '”',
    bdquo: '„',
    laquo: '«',
    raquo: '»',
    lsaquo: '‹',
    rsaquo: '›',
    times: '×',
    rarr: '→',
    larr: '←',
    check: '✓',
    iexcl: '¡',
    iquest: '¿',
    szlig: 'ß',
    auml: 'ä',
    ouml: 'ö',
    uuml: 'ü',
    Auml: 'Ä',
    Ouml: 'Ö',
    Uuml: 'Ü',
    euml: 'ë',
    iuml: 'ï',
    aacute: 'á',
    eacute: 'é',
    iacute: 'í',
    oacute: 'ó',
    uacute: 'ú',
    Aacute: 'Á',
    Eacute: 'É',
    Iacute: 'Í',
    Oacute: 'Ó',
    Uacute: 'Ú',
    agrave: 'à',
    egrave: 'è',
    igrave: 'ì',
    ograve: 'ò',
    ugrave: 'ù',
    Agrave: 'À',
    Egrave: 'È',
    acirc: 'â',
    ecirc: 'ê',
    icirc: 'î',
    ocirc: 'ô',
    ucirc: 'û',
    atilde: 'ã',
    ntilde: 'ñ',
    otilde: 'õ',
    Ntilde: 'Ñ',
    aring: 'å',
    Aring: 'Å',
    aelig: 'æ',
    AElig: 'Æ',
    oslash: 'ø',
    Oslash: 'Ø',
    ccedil: 'ç',
    Ccedil: 'Ç',
    oelig: 'œ',
    yacute: 'ý',
    scaron: 'š',
    zcaron: 'ž',
  }),
)

/** White space as it stands; block elements and line breaks become a space. Linear in the text. */
export function htmlText(html: string): string {
  let text = ''
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    if (open < 0) return text + references(html.slice(at))
    text += references(html.slice(at, open))
    if (html.startsWith('<!--', open)) {
      const end = html.indexOf('-->', open + 4)
      // What is not closed was cut off: nothing of it is text.
      if (end < 0) return text
      at = end + 3
      continue
    }
    const name = /^[a-z][a-z0-9]*/i.exec(html.slice(open + 1, open + 40).replace(/^\//, ''))?.[0].toLowerCase()
    const isTag = name !== undefined || html[open + 1] === '!' || html[open + 1] === '?' || html[open + 1] === '/'
    if (!isTag) {
      text += '<'
      at = open + 1
      continue
    }
    const end = tagEnd(html, open + 1)
    if (end < 0) return text
    at = end + 1
    if (name === undefined || inline.has(name)) continue
    text += ' '
    if (hidden.has(name) && html[open + 1] !== '/' && html[end - 1] !== '/') {
      at = behind(html, name, at)
      if (at < 0) return text
    }
  }
  return text
}

/** Index of the ">" that ends a tag; one in a quoted value does not. */
function tagEnd(html: string, from: number): number {
  let quote = ''
  for (let at = from; at < html.length; at++) {
    const char = html[at]!
    if (quote !== '') {
      if (char === quote) quote = ''
    } else if (char === '>') return at
    else if ((char === '"' || char === "'") && html[at - 1] === '=') quote = char
  }
  // A quote that never ends is none.
  return quote === '' ? -1 : html.indexOf('>', from)
}

/** Index behind the end tag, -1 without one. */
function behind(html: string, name: string, from: number): number {
  const end = new RegExp(`</${name}[\\s>]`, 'gi')
  end.lastIndex = from
  const found = end.exec(html)
  if (found === null) return -1
  const close = html.indexOf('>', found.index)
  return close < 0 ? -1 : close + 1
}

function references(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));?/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return named.get(name) ?? whole
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
    return code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? '\ufffd' : String.fromCodePoint(code)
  })
}

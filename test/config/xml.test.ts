import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '#src/config/finding.ts'
import { parseXml } from '#src/config/xml.ts'

const parse = (text: string | Buffer) => parseXml(Buffer.from(text as string), 'f.xml')

describe('reading XML', () => {
  it('knows the line of every element and attribute', () => {
    const root = parse(
      '<?xml version="1.0" encoding="UTF-8"?>\n<!-- > -->\n<a\n  x="1>"\n  y=\'\n"\' z = "3"\n>\n<b/></a>',
    )
    expect([root.name, root.line]).toEqual(['a', 3])
    expect([...root.attributes]).toEqual([
      ['x', { value: '1>', line: 4 }],
      ['y', { value: '\n"', line: 5 }],
      ['z', { value: '3', line: 6 }],
    ])
    expect(root.children.map(({ name, line }) => [name, line])).toEqual([['b', 8]])
  })

  it('decodes the five entities and numbers, once', () => {
    const root = parse('<a x="&#228;&#x1F600;&lt;&amp;lt;">&gt;&quot;&apos;<![CDATA[&amp;]]>&#10;<!-- x -->t</a>')
    expect(root.attributes.get('x')?.value).toBe('ä😀<&lt;')
    expect(root.text).toBe('>"\'&amp;\nt')
  })

  it('keeps blanks, a BOM aside, and takes undeclared prefixes', () => {
    expect(parse('\ufeff<a> b </a>').text).toBe(' b ')
    expect(parse('<a><p:q p:r="1"/></a>').children[0]?.name).toBe('p:q')
  })

  it.each([
    ['', 'is not well-formed XML: Start tag expected.'],
    ['not xml', "is not well-formed XML: char 'n' is not expected."],
    [
      '<a>\n<b>1</a>',
      "2: is not well-formed XML: Expected closing tag 'b' (opened in line 2, col 1) instead of closing tag 'a'.",
    ],
    ['<a/>\n<b/>', '2: has 2 top elements; exactly one is allowed'],
    ['<a>\n&foo;</a>', 'has a & that begins none of'],
    ['<a>\n<b x="a&b"/></a>', '2: attribute x of <b> has a & that begins none of'],
    ['<a>&#0;</a>', 'has a & that begins none of'],
    ['<a>&#xD800;</a>', 'has a & that begins none of'],
    ['<a x="1 & 2"/>', 'attribute x of <a> has a & that begins none of'],
    ['<a\nx="<"/>', '2: attribute x of <a> has a <; write it as &lt;'],
    ['<a>\n\u0001</a>', '2: holds the control character U+0001, which XML does not allow'],
    ['<a>\n<!-- <!DOCTYPE x> --></a>\n<!DOCTYPE b>', '3: has a DOCTYPE'],
    ['<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', '1: has a DOCTYPE'],
    ['<?xml version="1.0" encoding="ISO-8859-1"?><a/>', '1: declares the encoding ISO-8859-1; write the file in UTF-8'],
    ['<a>'.repeat(100) + '</a>'.repeat(100), 'nested tags exceeded'],
    ['<a><__proto__/></a>', 'is a reserved JavaScript keyword'],
  ])('refuses %j', (text, message) => {
    expect(() => parse(text)).toThrow(ConfigError)
    expect(() => parse(text)).toThrow(message)
  })

  it('refuses octets that are not UTF-8', () => {
    expect(() => parseXml(Buffer.from([0x3c, 0x61, 0xff]), 'f.xml')).toThrow('f.xml: the file is not UTF-8')
  })

  it('never shows what an element or attribute holds, and keeps messages short', () => {
    const secret = 'geheim4711'
    const broken = [
      `<a><p>x<${secret}</p></a>`,
      `<a><p>x<${secret}></p></a>`,
      `<a><p>x</${secret}></p></a>`,
      `<a><p>${secret}&${secret};</p></a>`,
      `<a p=${secret}/>`,
      `<a p="x"${secret}"/>`,
      `<a p="${secret}/>`,
      `<a p='"' ${secret} />`,
      `<a p="x" ${secret}="1" ${secret}="2"/>`,
      `<a p="<${secret}"/>`,
      `<a>${`<${secret}>`.repeat(1000)}`,
    ]
    for (const text of broken) {
      const error = (() => {
        try {
          parse(text)
        } catch (error) {
          return error as Error
        }
        return undefined
      })()
      expect(error, text).toBeInstanceOf(ConfigError)
      expect(error?.message).not.toContain(secret)
      expect(error!.message.length).toBeLessThan(250)
    }
  })

  it('throws nothing but ConfigError, whatever it is given', () => {
    const piece = fc.constantFrom(
      '<a',
      '>',
      '/>',
      '</a>',
      ' x=',
      '"',
      "'",
      '&',
      '&#1;',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      '\n',
      'b',
      '<!',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        try {
          parse(pieces.join(''))
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

/** Scripts and messages that are made to take long. */

export interface Costly {
  readonly title: string
  readonly script: string
  readonly message: string
}

const requires =
  'require ["variables", "regex", "body", "fileinto", "comparator-i;unicode-casemap", "relational", "editheader", "imap4flags", "index", "date"];\n'
const long = 'a'.repeat(900_000)
const manyKeys = `[${Array.from({ length: 5000 }, (_, index) => `"key ${index} nowhere"`).join(', ')}]`
const body = (line: string, times: number) => `Subject: x\r\n\r\n${`${line}\r\n`.repeat(times)}`

const dollar = '$'

export const costly: readonly Costly[] = [
  {
    title: 'stars',
    script: `if header :matches "subject" "${'*a'.repeat(500)}*b" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'stars and question marks',
    script: `if header :matches "subject" "${'*?a'.repeat(300)}*b?" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'a long piece with a question mark',
    script: `if header :matches "subject" "*${'a'.repeat(1000)}?b*" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'a piece that nearly fits everywhere',
    script: `if header :contains "subject" "${'a'.repeat(2000)}b" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'a piece that nearly fits everywhere, from its end',
    script: `if header :contains "subject" "b${'a'.repeat(2000)}" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'repetition of repetitions',
    script: `if header :regex "subject" "^((a*)*)*b$" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'a large expression',
    script: `if header :regex "subject" "(a|aa|aaa|a?){200}b" { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'many keys',
    script: `if header :contains "subject" ${manyKeys} { keep; }`,
    message: `Subject: ${long}\r\n\r\n`,
  },
  {
    title: 'many keys and fields',
    script: `if header :contains ["x"] ${manyKeys} { keep; }`,
    message: `${'X: some text\r\n'.repeat(50_000)}\r\n`,
  },
  {
    title: 'letters without case',
    script: `if header :contains :comparator "i;unicode-casemap" "subject" ["é", "x"] { keep; }`,
    message: `Subject: ${'\xc3\xa9\xc3\x9f'.repeat(200_000)}\r\n\r\n`,
  },
  {
    title: 'matches without case',
    script: `if header :matches :comparator "i;unicode-casemap" "subject" "*é?x*" { keep; }`,
    message: `Subject: ${'\xc3\xa9\xc3\x9f'.repeat(200_000)}\r\n\r\n`,
  },
  {
    title: 'many addresses',
    script: `if address :matches "to" "*nobody*" { keep; }`,
    message: `To: ${'a@b.example, '.repeat(70_000)}\r\n\r\n`,
  },
  {
    title: 'many addresses in many fields',
    script: `if address :count "eq" "to" "1" { keep; }`,
    message: `${'To: a@b.example, "c" <d@e.example>\r\n'.repeat(25_000)}\r\n`,
  },
  {
    title: 'encoded words',
    script: `if header :contains "subject" "nowhere" { keep; }`,
    message: `Subject: ${'=?utf-8?q?=C3=A9?= '.repeat(50_000)}\r\n\r\n`,
  },
  {
    title: 'a long body',
    script: 'if body :text :contains ["nowhere", "nor here"] { keep; }',
    message: body('x'.repeat(998), 8000),
  },
  {
    title: 'a long body, raw',
    script: 'if body :raw :matches "*nowhere*?nor?*" { keep; }',
    message: body('nowhere '.repeat(100), 8000),
  },
  {
    title: 'a long body by expression',
    script: 'if body :raw :regex "(x|y|xy)*nowhere" { keep; }',
    message: body('xy'.repeat(400), 4000),
  },
  {
    title: 'a long encoded body',
    script: 'if body :content "" :contains ["nowhere", "nor here"] { keep; }',
    message: `MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n${`${Buffer.from('<p>é</p>'.repeat(6)).toString('base64')}\r\n`.repeat(60_000)}`,
  },
  {
    title: 'a long page',
    script: 'if body :text :contains ["nowhere", "nor here"] { keep; }',
    message: `MIME-Version: 1.0\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${'<p>=E9</p><br>\r\n'.repeat(200_000)}`,
  },
  {
    title: 'many parts',
    script: 'if body :content "text" :contains "nowhere" { keep; }',
    message: `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\nContent-Type: text/plain\r\n\r\nx\r\n'.repeat(20_000)}`,
  },
  {
    title: 'growing variables',
    script: `set "a" "${'x'.repeat(100)}";\n${`set "a" "${`${dollar}{a}`.repeat(8)}";\n`.repeat(3000)}`,
    message: 'Subject: x\r\n\r\n',
  },
  {
    title: 'many edits',
    script: `${'addheader "X-A" "b";\ndeleteheader :index 1 "x-a";\n'.repeat(5000)}`,
    message: `${'X-A: b\r\n'.repeat(50_000)}\r\n`,
  },
  {
    title: 'many flags',
    script: `${'addflag "a b c d e f g h i j k l m n o p q r s t u v w x y z";\n'.repeat(5000)}`,
    message: 'Subject: x\r\n\r\n',
  },
  {
    title: 'flags that add up',
    script: Array.from({ length: 5000 }, (_, index) => `addflag "f${index}";\n`).join(''),
    message: 'Subject: x\r\n\r\n',
  },
].map((one) => ({ ...one, script: requires + one.script }))

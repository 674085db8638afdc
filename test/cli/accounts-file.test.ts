import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { canonicalUserId } from '#src/auth/user-id.ts'
import { readAccountsFile } from '#src/cli/msadm/accounts-file.ts'
import { usable } from '#src/cli/msadm/command.ts'
import { readProperty } from '#src/cli/msadm/commands/add.ts'

let directory: string
let file: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'csv-'))
  file = join(directory, 'users.csv')
})
afterAll(() => rm(directory, { recursive: true }))

const read = async (content: string | Buffer) => {
  await writeFile(file, content)
  const accounts = await readAccountsFile(file, {
    canonical: (given) => canonicalUserId(given, 'a.example'),
    property: readProperty,
    password: (text) => usable(Buffer.from(text)),
  })
  return accounts.map(({ line, userId, password, properties }) => [line, userId, password?.toString(), ...properties])
}
const faults = (content: string | Buffer) =>
  read(content).then(
    () => [],
    (error: Error) => error.message.replaceAll(`${file}:`, '').split('\n  '),
  )

it('reads quoted values, blanks in passwords, line ends of Windows, a BOM, empty lines and columns in any order', async () => {
  const content = '\ufeffpassword,userid,mailLocalAddress\r\n" a,b""c ",joe,joe@b.example\r\n\r\né,eve,\r\n'
  expect(await read(content)).toEqual([
    [2, 'joe@a.example', ' a,b"c ', ['mailLocalAddress', 'joe@b.example']],
    [4, 'eve@a.example', 'é'],
  ])
})

it('names of columns are known in capitals too, and no other one may hold passwords: those would be properties, which are listed', async () => {
  expect(await read('UserID,Password\njoe,x\n')).toEqual([[2, 'joe@a.example', 'x']])
  for (const name of ['pasword', 'passwd', 'User Password', 'Passwort', 'pwd', 'secret'])
    expect(await faults(`userid,${name}\njoe,x\n`)).toEqual([
      'nobody was migrated:',
      `1: a column ${name} would be a property, which everybody may see; is it password?`,
    ])
})

it('without a column of passwords there are none', async () => {
  expect(await read('userid\njoe\n')).toEqual([[2, 'joe@a.example', undefined]])
})

it('tells every line that can not be used, by its number, and takes none', async () => {
  const content = 'userid,password,mail\njoe,x,\neve\n,y,\njoe@a.example,z,\nann,,\n"a/b",x,\nbob,x,\u0001\n'
  const [first, ...lines] = await faults(content)
  expect(first).toBe('nobody was migrated:')
  expect(lines.map((line) => line.slice(0, 45))).toEqual([
    expect.stringMatching(/^3: there are 1 values and 3 columns/),
    expect.stringMatching(/^4: /),
    expect.stringMatching(/^5: joe@a.example is on line 2 already/),
    expect.stringMatching(/^6: the password is empty/),
    expect.stringMatching(/^7: "a\/b" can't be a name/),
    expect.stringMatching(/^8: the value of mail/),
  ])
})

it.each([
  ['', ['is empty; its first line is userid,password']],
  [
    'user,password\njoe,x\n',
    ['nobody was migrated:', '1: there is no column userid; the first line names the columns'],
  ],
  ['userid,password,password\njoe,x,y\n', ['nobody was migrated:', '1: there are two columns password']],
  [Buffer.from('userid,password\njoe,\xe9\n', 'latin1'), ['is not in UTF-8; save it as CSV in UTF-8']],
  ['userid,password\n"joe,x\n', ['Quote Not Closed']],
])('refuses %j', async (content, messages) => {
  const told = await faults(content)
  expect(told.length).toBe(messages.length)
  for (const [at, message] of messages.entries()) expect(told[at]).toContain(message)
})

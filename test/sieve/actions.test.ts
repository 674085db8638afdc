import { describe, expect, it } from 'vitest'
import { readMailto } from '#src/sieve/mailto.ts'
import { faultsOf, runScript } from './run-script.ts'

const keep = { type: 'keep', implicit: true }

describe('RFC 5429: reject and ereject', () => {
  it('§2.2: the examples', async () => {
    const { actions } = await runScript(`require ["reject"];
      if header :contains "from" "coyote@desert.example.org" {
        reject text:
I am not taking mail from you, and I don't
want your birdseed, either!
.
        ;
      }`)
    expect(actions).toEqual([
      { type: 'reject', reason: "I am not taking mail from you, and I don't\r\nwant your birdseed, either!\r\n" },
    ])
    expect((await runScript('require "ereject"; ereject "no";')).actions).toEqual([{ type: 'ereject', reason: 'no' }])
  })

  it('§2.4: not beside an action that delivers, and once', async () => {
    for (const script of ['keep; reject "x";', 'reject "x"; redirect "a@example.org";', 'reject "x"; reject "y";']) {
      const outcome = await runScript(`require "reject"; ${script}`)
      expect(outcome.error).toMatchObject({ line: 1, text: expect.stringContaining('reject') })
      expect(outcome.actions).toEqual([keep])
    }
  })

  it('needs its reason', () => {
    expect(faultsOf('require "reject"; reject;')).toHaveLength(1)
    expect(faultsOf('require "ereject"; reject "x";')[0]).toContain('"reject"')
  })
})

describe('RFC 5230: vacation', () => {
  it('§4.4 to §4.9: the examples', async () => {
    const { actions } = await runScript(`require "vacation";
      if header :contains "subject" "lunch" { vacation :handle "ran-away" "I'm out and can't meet for lunch"; }
      elsif header :contains "subject" "present" {
        vacation :days 23 :addresses ["tjs@example.edu", "ts4z@landru.example.edu"] "I'm away until October 19.";
      }`)
    expect(actions).toEqual([
      {
        type: 'vacation',
        reason: "I'm away until October 19.",
        addresses: ['tjs@example.edu', 'ts4z@landru.example.edu'],
        mime: false,
        handle: expect.any(String),
        periodSeconds: 23 * 86_400,
      },
      keep,
    ])
    const mime = await runScript(`require "vacation";
      vacation :mime text:
Content-Type: multipart/alternative; boundary=foo

--foo

I'm at the beach relaxing.
--foo--
.
;`)
    expect(mime.actions[0]).toMatchObject({ mime: true, reason: expect.stringMatching(/^Content-Type: multipart/) })
    const named = await runScript('require "vacation"; vacation :subject "Away" :from "Tim <tim@example.org>" "x";')
    expect(named.actions[0]).toMatchObject({ subject: 'Away', from: 'Tim <tim@example.org>' })
  })

  it('§4.2: who says something else is answered again, who says the same under a handle is not', async () => {
    const handle = async (command: string) => {
      const [action] = (await runScript(`require "vacation"; vacation ${command};`)).actions
      return action?.type === 'vacation' ? action.handle : undefined
    }
    expect(await handle('"a"')).toBe(await handle(':days 3 "a"'))
    expect(await handle('"a"')).not.toBe(await handle('"b"'))
    expect(await handle(':subject "s" "a"')).not.toBe(await handle('"a"'))
    expect(await handle(':mime "a"')).not.toBe(await handle('"a"'))
    expect(await handle(':handle "h" "a"')).toBe(await handle(':handle "h" "b"'))
  })

  it('§4.7: once, and not beside reject', async () => {
    expect((await runScript('require "vacation"; vacation "a"; vacation "b";')).error).toBeDefined()
    expect((await runScript('require ["vacation", "reject"]; vacation "a"; reject "b";')).error).toBeDefined()
  })

  it('RFC 6131: seconds, 0 for each time, days at least 1', async () => {
    const period = async (command: string) =>
      (await runScript(`require "vacation-seconds"; vacation ${command} "x";`)).actions[0]
    expect(await period(':seconds 1800')).toMatchObject({ periodSeconds: 1800 })
    expect(await period(':seconds 0')).toMatchObject({ periodSeconds: 0 })
    expect(await period(':days 0')).toMatchObject({ periodSeconds: 86_400 })
    expect(await period(':days 4000')).toMatchObject({ periodSeconds: 365 * 86_400 })
    expect(faultsOf('require "vacation-seconds"; vacation :seconds 1 :days 1 "x";')).toHaveLength(1)
    expect(faultsOf('require "vacation"; vacation :seconds 1 "x";')).not.toEqual([])
    expect(faultsOf('require "vacation"; vacation :from "nobody" "x";')[0]).toContain('no address')
  })
})

describe('RFC 5435, RFC 5436: enotify', () => {
  it('the examples of both', async () => {
    const { actions } = await runScript(`require ["enotify", "fileinto"];
      if header :contains "from" "coyote@desert.example.org" {
        notify :importance "1" :message "This is probably very important" "mailto:alm@example.com";
        stop;
      }`)
    expect(actions).toEqual([
      {
        type: 'notify',
        method: 'mailto:alm@example.com',
        importance: 1,
        message: 'This is probably very important',
        options: [],
      },
      keep,
    ])
    const uri = 'mailto:0123456789@sms.example.net?to=backup@example.com'
    expect((await runScript(`require "enotify"; notify :importance "3" "${uri}";`)).actions[0]).toMatchObject({
      method: uri,
      importance: 3,
    })
  })

  it('§3: methods that can not be used are told when the script is compiled', () => {
    expect(faultsOf('require "enotify"; notify "xmpp:tim@example.com";')[0]).toContain('use "mailto:"')
    expect(faultsOf('require "enotify"; notify "mailto:nobody";')[0]).toContain('names nobody')
    expect(faultsOf('require "enotify"; notify "hello";')[0]).toContain('no URI')
    expect(faultsOf('require "enotify"; notify :importance "4" "mailto:a@example.org";')[0]).toContain('"1" (high)')
    expect(faultsOf('require "enotify"; notify :from "x" "mailto:a@example.org";')[0]).toContain('no address')
  })

  it('§4, §5: valid_notify_method and notify_method_capability', async () => {
    const asks = async (test: string) =>
      (await runScript(`require "enotify"; if ${test} { discard; }`)).actions.length === 1 &&
      (await runScript(`require "enotify"; if ${test} { discard; }`)).actions[0]!.type === 'discard'
    expect(await asks('valid_notify_method ["mailto:alm@example.com", "mailto:b@example.org"]')).toBe(true)
    expect(await asks('valid_notify_method ["mailto:alm@example.com", "xmpp:b@example.org"]')).toBe(false)
    expect(await asks('notify_method_capability "mailto:alm@example.com" "Online" ["yes", "maybe"]')).toBe(true)
    expect(await asks('notify_method_capability "mailto:alm@example.com" "Online" "yes"')).toBe(false)
    expect(await asks('notify_method_capability "mailto:alm@example.com" "other" "yes"')).toBe(false)
    expect(await asks('notify_method_capability "xmpp:tim@example.com" "Online" "maybe"')).toBe(false)
  })

  it('RFC 5436 §2: what a mailto URI says, and what it may not', () => {
    expect(
      readMailto('mailto:a@example.org,b%40example.org?to=c@example.org&cc=d@example.org&subject=x%20y&body=z'),
    ).toEqual({
      to: ['a@example.org', 'b@example.org', 'c@example.org'],
      cc: ['d@example.org'],
      subject: 'x y',
      body: 'z',
      fields: [],
    })
    // RFC 2368 §2
    expect(readMailto('mailto:a@example.org%2cb@example.org?subject=x')?.to).toEqual(['a@example.org', 'b@example.org'])
    expect(readMailto('mailto:%22a%2Cb%22@example.org')?.to).toEqual(['"a,b"@example.org'])
    expect(
      readMailto('mailto:a@example.org?From=x@example.org&Auto-Submitted=no&Bcc=y@example.org&keywords=k%0d%0ae')
        ?.fields,
    ).toEqual([['keywords', 'k\r\ne']])
    for (const uri of [
      'mailto:',
      'mailto:%',
      'mailto:a',
      'mailto:a@example.org b',
      'mailto:a@x?a%0d=b',
      `mailto:${'a@example.org,'.repeat(21)}b@example.org`,
    ])
      expect(readMailto(uri), uri).toBeUndefined()
  })
})

describe('RFC 7352: duplicate', () => {
  it('§3: remembers what it sees first, and says so of the next', async () => {
    const script = 'require ["duplicate", "fileinto"]; if duplicate { fileinto "Trash/Duplicate"; }'
    const asked: unknown[] = []
    const isDuplicate = async (...question: unknown[]) => asked.push(question) > 1
    expect((await runScript(script, { isDuplicate })).actions).toEqual([
      { type: 'remember-duplicate', handle: '', id: '<1@desert.example.org>' },
      keep,
    ])
    expect((await runScript(script, { isDuplicate })).actions).toEqual([
      { type: 'fileinto', mailbox: 'Trash/Duplicate', copy: false },
    ])
    expect(asked).toEqual([
      ['', '<1@desert.example.org>', false],
      ['', '<1@desert.example.org>', false],
    ])
  })

  it('§3.1 to §3.3: other ids, handles and periods; :last counts from the last one', async () => {
    const seen = (test: string, known = false) =>
      runScript(`require "duplicate"; if ${test} { discard; }`, { isDuplicate: async () => known })
    expect((await seen('duplicate :header "Subject" :handle "h" :seconds 60')).actions[0]).toEqual({
      type: 'remember-duplicate',
      handle: 'h',
      id: 'I have a present for you',
      periodSeconds: 60,
    })
    expect((await seen('duplicate :uniqueid "u" :last', true)).actions).toEqual([
      { type: 'remember-duplicate', handle: '', id: 'u' },
      { type: 'discard' },
    ])
    expect((await seen('duplicate :uniqueid "u"', true)).actions).toEqual([{ type: 'discard' }])
    // No such header field: no duplicate, and nothing to remember.
    expect((await seen('duplicate :header "X-Event"', true)).actions).toEqual([keep])
    expect(faultsOf('require "duplicate"; if duplicate :header "a" :uniqueid "b" { stop; }')).toHaveLength(1)
  })

  it('§3: one question has one answer in a run', async () => {
    let asked = 0
    const { actions } = await runScript('require "duplicate"; if duplicate { discard; } if duplicate { discard; }', {
      isDuplicate: async () => ++asked > 1,
    })
    expect(actions).toEqual([{ type: 'remember-duplicate', handle: '', id: '<1@desert.example.org>' }, keep])
  })
})

describe('RFC 5490: mailboxes and annotations', () => {
  it('§3.1, §3.2: mailboxexists and :create', async () => {
    const script = `require ["fileinto", "mailbox"];
      if mailboxexists ["Partners", "Friends"] { fileinto "Partners"; } else { fileinto :create "New"; }`
    const there = { mailboxExists: async (name: string) => name === 'Partners' }
    expect((await runScript(script, there)).actions).toEqual([
      { type: 'fileinto', mailbox: 'New', copy: false, create: true },
    ])
    expect((await runScript(script, { mailboxExists: async () => true })).actions).toEqual([
      { type: 'fileinto', mailbox: 'Partners', copy: false },
    ])
  })

  it('§3.3, §3.4, §4: metadata of mailboxes and of the server', async () => {
    const values = new Map([
      ['INBOX /private/vendor/vendor.isode/auto-replies', 'on'],
      [' /shared/comment', ''],
    ])
    const metadata = async (mailbox: string | undefined, name: string) => values.get(`${mailbox ?? ''} ${name}`)
    const isTrue = async (test: string) =>
      (await runScript(`require ["mboxmetadata", "servermetadata"]; if ${test} { discard; }`, { metadata })).actions[0]!
        .type === 'discard'
    expect(await isTrue('metadata :is "INBOX" "/private/vendor/vendor.isode/auto-replies" "on"')).toBe(true)
    expect(await isTrue('metadata :is "Other" "/private/vendor/vendor.isode/auto-replies" "on"')).toBe(false)
    expect(await isTrue('metadata :is "Other" "/private/x" ""')).toBe(false)
    expect(await isTrue('metadataexists "INBOX" ["/private/vendor/vendor.isode/auto-replies"]')).toBe(true)
    expect(await isTrue('metadataexists "INBOX" ["/private/vendor/vendor.isode/auto-replies", "/private/x"]')).toBe(
      false,
    )
    expect(await isTrue('servermetadata "/shared/comment" ""')).toBe(true)
    expect(await isTrue('servermetadataexists ["/shared/comment"]')).toBe(true)
    expect(await isTrue('servermetadataexists ["/shared/admin"]')).toBe(false)
  })
})

describe('RFC 8579: special-use', () => {
  it('§3, §4: the examples', async () => {
    const { actions } = await runScript(`require ["fileinto", "special-use", "mailbox"];
      if header :contains "subject" "present" { fileinto :specialuse "\\\\Junk" :create "Spam"; }`)
    expect(actions).toEqual([{ type: 'fileinto', mailbox: 'Spam', copy: false, create: true, specialUse: '\\Junk' }])
    const asked: unknown[] = []
    const specialUseExists = async (...question: unknown[]) => asked.push(question) > 0
    await runScript(
      `require "special-use";
       if anyof(not specialuse_exists ["\\\\Archive", "\\\\Sent"], not specialuse_exists "INBOX" "\\\\Trash") { discard; }`,
      { specialUseExists },
    )
    expect(asked).toEqual([
      [undefined, ['\\Archive', '\\Sent']],
      ['INBOX', ['\\Trash']],
    ])
    expect(faultsOf('require ["fileinto", "special-use"]; fileinto :specialuse "Junk" "Spam";')[0]).toContain(
      'no special use',
    )
  })
})

describe('RFC 8580: fcc', () => {
  it('§3: with vacation and notify, and the tags of fileinto', async () => {
    const { actions } = await runScript(`require ["vacation", "enotify", "fcc", "mailbox", "special-use"];
      vacation :fcc "INBOX.Sent" "Gone fishing";
      notify :fcc "Notices" :create :specialuse "\\\\Sent" :message "m" "mailto:a@example.org";`)
    expect(actions[0]).toMatchObject({ type: 'vacation', fcc: { mailbox: 'INBOX.Sent', create: false } })
    expect(actions[1]).toMatchObject({
      type: 'notify',
      fcc: { mailbox: 'Notices', create: true, specialUse: '\\Sent' },
    })
    expect(faultsOf('require ["vacation", "fcc", "mailbox"]; vacation :create "x";')[0]).toContain(':fcc')
    expect(faultsOf('require ["vacation", "fcc", "imap4flags"]; vacation :flags "a" "x";')[0]).toContain(':fcc')
    expect(faultsOf('require "fcc"; keep :fcc "x";')).not.toEqual([])
  })
})

describe('RFC 6134: extlists', () => {
  it('§2: lists as keys, valid_ext_list, and redirect to a list', async () => {
    const environment = {
      listContains: async (list: string, value: string) =>
        list === 'tag:example.com,2009:friends' && value.startsWith('coyote@'),
      isList: async (list: string) => list.startsWith('tag:'),
    }
    const run = async (script: string) => (await runScript(`require "extlists"; ${script}`, environment)).actions
    expect(await run('if address :list "from" "tag:example.com,2009:friends" { discard; }')).toEqual([
      { type: 'discard' },
    ])
    expect(await run('if address :list "to" "tag:example.com,2009:friends" { discard; }')).toEqual([keep])
    expect(await run('if valid_ext_list ["tag:a", "addrbook:b"] { discard; }')).toEqual([keep])
    expect(await run('redirect :list "tag:example.com,2009:friends";')).toEqual([
      { type: 'redirect', address: 'tag:example.com,2009:friends', copy: false, list: 'tag:example.com,2009:friends' },
    ])
  })
})

it('RFC 5435 §6: :encodeurl, after the other modifiers and before :length', async () => {
  const set = async (modifiers: string) => {
    const { actions } = await runScript(
      `require ["enotify", "variables"]; set ${modifiers} "body" "Safe body & evil=ü"; notify "mailto:a@example.org?body=\${body}";`,
    )
    return actions[0]?.type === 'notify' ? actions[0].method : undefined
  }
  expect(await set(':encodeurl')).toBe('mailto:a@example.org?body=Safe%20body%20%26%20evil%3D%C3%BC')
  expect(await set(':length :encodeurl :upper')).toBe('mailto:a@example.org?body=33')
  expect(faultsOf('require "variables"; set :encodeurl "a" "b";')).not.toEqual([])
})

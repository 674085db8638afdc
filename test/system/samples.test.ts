import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { inOwnSystem } from '../support/own-system.ts'
import { startSlapd } from '../support/slapd.ts'

/** Some ten processes start one after another; on a machine with much else to do each takes seconds. */
const patienceMs = 120_000

const root = resolve(import.meta.dirname, '../..')

/** As docs/operating.md has it, and what the samples say of certificates. */
const user = 'useradd --system --user-group --no-create-home --shell /usr/sbin/nologin mbox'
const directories =
  'install -d -o mbox -g mbox -m 0700 /var/isode/ms && install -d -o mbox -g mbox -m 0700 /var/isode/ms/user /var/isode/ms/accounts'
const certificate = `mkdir -p /etc/isode/mbox-tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout /etc/isode/mbox-tls/key.pem -out /etc/isode/mbox-tls/certificate.pem 2>/dev/null
chown mbox /etc/isode/mbox-tls/key.pem`
const copy = (name: string) => `install -D -g mbox -m 0640 ${root}/etc/${name} /etc/isode/ms.conf`
/** IMAP over TLS, as a client. */
const imaps = (...commands: readonly string[]) =>
  `(sleep 1; printf '${commands.map((command) => `${command}\\r\\n`).join('')}'; sleep 2) | openssl s_client -quiet -connect 127.0.0.1:993 2>/dev/null || true`
const path = `export PATH=${root}/bin:$PATH`

it(
  'SRV-05 SRV-06: ms.conf.local starts as it is, without an activation',
  () => {
    const said = inOwnSystem(`${path}
${user}
${directories}
${certificate}
${copy('ms.conf.local')}
test ! -e /etc/isode/activate.dat
mbox enable ms_syncd
mbox check-config
mbox start
mbox status
${imaps('a CAPABILITY', 'b LOGOUT')}
mbox stop`)
    expect(said).not.toMatch(/error:|activat/)
    for (const service of ['mseventd', 'imapd', 'pop3d', 'ms_syncd'])
      expect(said).toMatch(new RegExp(`${service} +enabled +running`))
    expect(said).toContain('* OK ')
    expect(said).toContain('b OK')
  },
  patienceMs,
)

it(
  'SRV-05 LDAP-12 LDAP-13: ms.conf.ldap starts as it is, with openldap-example.ldif in slapd, and stays up without it',
  async () => {
    const slapd = await startSlapd({
      foundation: [],
      entries: [readFileSync(resolve(root, 'etc/openldap-example.ldif'), 'utf8')],
    })
    onTestFinished(() => slapd.stop())
    await slapd.halt()
    const said = inOwnSystem(`${path}
${user}
${directories}
${certificate}
${copy('ms.conf.ldap')}
/usr/sbin/slapd -d 0 -F ${dirname(slapd.certificateFile)}/config -h ldap://127.0.0.1:389 & directory=$!
until ldapsearch -x -H ldap://127.0.0.1:389 -b '' -s base >/dev/null 2>&1; do sleep 0.1; done
mbox disable pop3d
mbox check-config
mbox start
${imaps('a LOGIN usera@imap.myisp.net pot4secret', 'b LIST "" "*"', 'c LOGOUT')}
stat -c 'cache %U %G %a' /var/isode/ms/config_cache
mbox stop
kill -9 $directory
sed -i 's/<!-- <ldap_connect_retries>3<.ldap_connect_retries> -->/<ldap_connect_retries>1<\\/ldap_connect_retries>/' /etc/isode/ms.conf
mbox start
${imaps('d LOGIN usera@imap.myisp.net pot4secret', 'e LIST "" "Shared Folders/*"', 'f LOGOUT')}
mbox stop`)
    expect(said).not.toMatch(/error:/)
    expect(said).toMatch(/^a OK/m)
    expect(said).toContain('"Shared Folders/staff"')
    expect(said).toContain('cache root mbox 640')
    // From what is remembered of configuration and user.
    expect(said).toMatch(/^d OK/m)
    expect(said.slice(said.indexOf('d OK'))).toContain('"Shared Folders/staff"')
  },
  patienceMs,
)

it(
  'SRV-04: the directories have to be ms_user’s: the error has the command, after which the service starts',
  () => {
    const directory = '/var/isode/ms/user'
    const said = inOwnSystem(`${path}
${user}
install -d -o mbox -g mbox -m 0700 /var/isode/ms && install -d -o root ${directory}
install -d /etc/isode
echo '<ms_options><run_dir>/var/run/wherry</run_dir><managed_services>false</managed_services></ms_options>' > /etc/isode/ms.conf
imapd && exit 1 || echo status $?
$(imapd 2>&1 | sed -n 's/.*; as root: //p')
imapd
mbox status | grep imapd
mbox stop`)
    expect(said).toMatch(
      new RegExp(
        `imapd: .*userdir: mbox can't make or write ${directory} \\(E\\w+\\); as root: install -d -o mbox -g mbox -m 0700 ${directory}`,
      ),
    )
    expect(said).toContain('status 69')
    expect(said).toMatch(/imapd +enabled +running/)
  },
  patienceMs,
)

import { createSecureContext } from 'node:tls'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { configOf } from '#src/config/config.ts'
import { mseventd } from '#src/mseventd/main.ts'
import { eventsOf } from '#src/server/events-address.ts'
import { loadTls, type TlsMaterial } from '#src/server/tls.ts'
import { certificates } from '../server/support/certificates.ts'
import { bus, hub, recordingLog } from './support/buses.ts'

const loopback = { host: '127.0.0.1', port: 0 }

describe('events over TLS (EVT-12, EVT-13)', () => {
  const material = async (name: string): Promise<TlsMaterial> => {
    const made = certificates()
    onTestFinished(() => made[Symbol.dispose]())
    made.make(name)
    const loaded = await loadTls(
      configOf({ tls_cert_file: made.path(`${name}.pem`), tls_key_file: made.path(`${name}.key`) }),
    )
    return loaded!
  }
  const client = ({ context, certificates }: TlsMaterial, pinned: boolean) => ({
    context: createSecureContext(context),
    certificates: pinned ? certificates : [],
  })

  it('carry credentials, between holders of the same certificate', async () => {
    const own = await material('mail')
    const { addresses } = await hub(loopback, recordingLog(), { tls: own })
    const at = addresses[0]!.at
    const [asker, server] = [
      bus(at, 'imapd', recordingLog(), client(own, true)),
      bus(at, 'ms_syncd', recordingLog(), client(own, true)),
    ]
    server.serve('ms_sync', async () => 'yes')
    await expect(asker.ask('ms_sync', { password: 'x' }, { secret: true, timeoutMs: 10_000 })).resolves.toBe('yes')
  })

  it('take any certificate without msevent_tls_auth, no other one with it', async () => {
    const [own, other] = [await material('mail'), await material('other')]
    const { addresses } = await hub(loopback, recordingLog(), { tls: other })
    const at = addresses[0]!.at
    const log = recordingLog()
    const [trusting, strict] = [
      bus(at, 'imapd', recordingLog(), client(own, false)),
      bus(at, 'imapd', log, client(own, true)),
    ]
    await expect(trusting.presences()).resolves.toEqual([])
    await vi.waitFor(() =>
      expect(log.records.map((record) => record.fields?.reason)).toContain(
        'mseventd shows another certificate than our own (msevent_tls_auth)',
      ),
    )
    expect(strict.connected).toBe(false)
  })

  it('are not carried in the clear where TLS is set', async () => {
    const own = await material('mail')
    const { addresses } = await hub(loopback, recordingLog(), { tls: own })
    const plain = bus(addresses[0]!.at)
    const secure = bus(addresses[0]!.at, 'imapd', recordingLog(), client(own, true))
    await secure.presences()
    expect(plain.connected).toBe(false)
  })

  it('need a certificate: without one mseventd and its clients say so and do not start', async () => {
    const config = configOf({ msevent_host: '127.0.0.1', msevent_port: 0, msevent_tls: true })
    const log = recordingLog()
    const runtime = { config, log, clock: systemClock, events: bus(loopback), firstWorker: true, sharedPorts: false }
    await expect(mseventd.start(runtime)).rejects.toThrow('set tls_cert_file')
    await expect(eventsOf(config)).rejects.toThrow('set tls_cert_file')
  })
})

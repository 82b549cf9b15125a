import type { Buffer } from 'node:buffer'
import { optionNames, optionsObject } from '../checks/options.ts'
import { positiveInteger } from '../checks/scalars.ts'
import type { Collective } from './collective.ts'
import { guarded } from './guarded.ts'
import { masterFromEnvironment, placeOf } from './launcher.ts'
import { collectiveError, engineOf, loadModule, type NativeEngine } from './native-engine.ts'
import { ownAddress } from './own-address.ts'
import { Deadline } from './rendezvous/exchange.ts'
import { checkedJobId, rendezvousAt } from './rendezvous/rendezvous.ts'
import { solo } from './solo.ts'

/** Options of `gloo`. What is left out of rank, size and rendezvous is read from the environment. */
export interface GlooOptions {
  /** Which rank this process is, from 0. Else `RANK`, or what mpirun has set. */
  rank?: number
  /** How many ranks there are. Else `WORLD_SIZE`, or what mpirun has set. */
  size?: number
  /**
   * Where the ranks find each other: `file:/dir`, a folder that all see; `tcp://host:port`, where rank 0 listens;
   * `redis://host:port`, which needs the package `redis`. Else `tcp` at `MASTER_ADDR` and `MASTER_PORT`.
   */
  rendezvous?: string
  /** A name of this attempt of the job: no second one can take it. `tcp` needs none. */
  jobId?: string
  /** A name or an address of this machine, by which the others reach it. Else what its own name resolves to. */
  host?: string
  /** Instead of `host`: a network interface, such as `eth0`. Else `GLOO_SOCKET_IFNAME`. */
  interface?: string
  /** How long to wait for other ranks, at the beginning and in each operation: 30,000 if left out. */
  timeoutMs?: number
}

const names = optionNames<GlooOptions>({
  rank: true,
  size: true,
  rendezvous: true,
  jobId: true,
  host: true,
  interface: true,
  timeoutMs: true,
})

interface GlooModule {
  create(options: { rank: number; size: number; address: string; timeoutMs: number }): GlooEngine
}

interface GlooEngine extends NativeEngine {
  /** Where this rank listens, for each of the others. */
  readonly addresses: Buffer
  connect(addresses: readonly Buffer[]): Promise<void>
}

/**
 * The collective of a job whose ranks talk over TCP, by the library Gloo. Its module is built on demand:
 * `npx batchnorm build --gloo`. Nothing is encrypted: a private network is needed.
 *
 * @throws CollectiveError if not all ranks come in time, or if the module or its library is not there
 */
export async function gloo(options: GlooOptions = {}): Promise<Collective> {
  const { rendezvous, jobId, timeoutMs = 30_000, ...rest } = optionsObject(options, names)
  const { rank, size } = placeOf(rest)
  positiveInteger('timeoutMs', timeoutMs)
  const url = rendezvous ?? masterFromEnvironment()
  const meet = rendezvousAt(url)
  const job = jobId === undefined && url.startsWith('tcp:') ? 'default' : checkedJobId(jobId)
  const module = loadModule<GlooModule>('gloo')
  if (size === 1) return solo()

  const deadline = new Deadline(timeoutMs)
  const engine = module.create({ rank, size, address: await ownAddress(rest), timeoutMs })
  try {
    const all = await meet({ rank, size, jobId: job, value: engine.addresses, deadline })
    await engine.connect(all).catch((error) => {
      throw collectiveError(error)
    })
  } catch (error) {
    engine.close()
    throw error
  }
  return guarded(engineOf(engine, { rank, size }))
}

/** Running statistics of three clients made one: as the union's, and as the average that many servers take. */
import { accuracyOf, type Network, run } from '../../cli/explain/network.ts'
import { type Examples, rowsOf } from '../../cli/training/examples.ts'
import { type BatchNorm, pool, recalibrate, type State, type Tensor } from '../../lib/index.ts'
import { CLIENTS, ownOf } from './clients.ts'
import { looking } from './looks.ts'
import { batchesOf, type Dealt } from './settings.ts'

/** The running variance of each channel of a batch norm: of the union of all digits, pooled, averaged. */
export interface Variances {
  readonly union: readonly number[]
  readonly pooled: readonly number[]
  readonly averaged: readonly number[]
}

export interface PoolingOutcome {
  readonly layers: readonly Variances[]
  /** By client, the share of the test digits that look as its own told right, with either. */
  readonly pooled: readonly number[]
  readonly averaged: readonly number[]
  /** What `pool` says of a client that sends a negative variance. */
  readonly refusal: string
}

interface ClientState {
  readonly name: string
  readonly state: Record<string, Tensor>
  readonly count: number
}

/** Ends with the pooled statistics in the network. */
export async function poolingOf(network: Network, { training, test }: Dealt): Promise<PoolingOutcome> {
  const data = CLIENTS.map((client) => ({ name: client.name, batches: batchesOf(ownOf(client, training)) }))
  const everywhere = () =>
    CLIENTS.map(({ look }) => accuracyOf(run(network, rowsOf(looking(test, look))), test.labels))

  const averagedRounds = await inRounds(network, data, average)
  const averaged = everywhere()
  const pooledRounds = await inRounds(network, data, (clients) => pool(clients).state)
  const pooled = everywhere()
  return {
    layers: pooledRounds.map(({ variances }) => variances),
    pooled,
    averaged,
    refusal: refusalOf(averagedRounds[0].clients),
  }
}

interface ClientData {
  readonly name: string
  readonly batches: readonly Examples[]
}

/** A round for each batch norm, in their order: what comes into one depends on the statistics of those before. */
async function inRounds(
  network: Network,
  data: readonly ClientData[],
  combine: (clients: readonly ClientState[]) => State,
) {
  const rounds: { clients: readonly ClientState[]; variances: Variances }[] = []
  for (const module of network.batchNorms) {
    const statisticsOf = async (batches: readonly Examples[]) => {
      await recalibrate([module], batches, (batch) => run(network, rowsOf(batch)))
      return statisticsIn(module)
    }
    const union = await statisticsOf(data.flatMap(({ batches }) => batches))
    const clients: ClientState[] = []
    for (const { name, batches } of data) {
      const count = batches.reduce((sum, batch) => sum + batch.count, 0)
      clients.push({ name, state: await statisticsOf(batches), count })
    }
    const variancesOf = (state: State) => [...(state.running_var as Tensor).data]
    rounds.push({
      clients,
      variances: {
        union: variancesOf(union),
        pooled: variancesOf(pool(clients).state),
        averaged: variancesOf(average(clients)),
      },
    })
    module.loadStateDict(combine(clients), { strict: false })
  }
  return rounds
}

function statisticsIn(module: BatchNorm): ClientState['state'] {
  const { running_mean, running_var } = module.stateDict() as Record<string, Tensor>
  return { running_mean, running_var }
}

/** The averages by count, as of any other weight. The mean of the means is right. */
function average(clients: readonly ClientState[]): State {
  const total = clients.reduce((sum, { count }) => sum + count, 0)
  const averageOf = (key: string) =>
    clients[0].state[key].data.map((_, channel) =>
      clients.reduce((sum, { state, count }) => sum + (count / total) * state[key].data[channel], 0),
    )
  return Object.fromEntries(
    ['running_mean', 'running_var'].map((key) => {
      const data = averageOf(key)
      return [key, { data, shape: [data.length] }]
    }),
  ) as State
}

function refusalOf([first, ...others]: readonly ClientState[]): string {
  const { running_mean, running_var } = first.state
  const lie = [...running_var.data].map((variance, channel) => (channel === 7 ? -variance : variance))
  try {
    pool([...others, { ...first, state: { running_mean, running_var: lie } }])
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing'
}

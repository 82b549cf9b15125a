/** Three clients whose digits look different, and the networks that learn from all of them. */
import type { Sequential } from '@tensorflow/tfjs-layers'
import { createModel, type Network, networkOf } from '../../cli/explain/network.ts'
import { trainModel } from '../../cli/explain/training.ts'
import { PIXELS } from '../../cli/training/digits.ts'
import { type Examples, pick } from '../../cli/training/examples.ts'
import { BatchNorm1d, DomainBatchNorm1d } from '../../lib/index.ts'
import { dimmed, inverted, type Look, looking, rotated } from './looks.ts'
import { NormLayer } from './norm-layer.ts'
import { ARCHITECTURE, type Settings, scheduleOf } from './settings.ts'

export interface Client {
  readonly name: string
  readonly title: string
  readonly look: Look
  /** Of six digits, how many are its. */
  readonly share: number
}

export const CLIENTS: readonly Client[] = [
  { name: 'dim', title: 'a third of the ink', look: dimmed(1 / 3), share: 3 },
  { name: 'negative', title: 'ink and paper exchanged', look: inverted, share: 2 },
  { name: 'tilted', title: 'turned by 30°', look: rotated(30), share: 1 },
]

/** Whom no network has learned from: some of what the clients have, in a mixture that none has. */
export const NEWCOMER: Pick<Client, 'name' | 'title' | 'look'> = {
  name: 'newcomer',
  title: 'two thirds of the ink, turned by 15°',
  look: (inputs) => dimmed(2 / 3)(rotated(15)(inputs)),
}

/** In turns, as often as its share says. */
const TURNS = CLIENTS.flatMap((client) => Array.from({ length: client.share }, () => client))

/** The name of the client that has each example. */
export function ownersOf({ count }: Examples): string[] {
  return Array.from({ length: count }, (_, index) => TURNS[index % TURNS.length].name)
}

/** The examples that a client has, as they look there. */
export function ownOf({ name, look }: Client, examples: Examples): Examples {
  const owners = ownersOf(examples)
  const own = [...owners.keys()].filter((index) => owners[index] === name)
  return looking(pick(examples, Int32Array.from(own)), look)
}

/** Each example as it looks at the client that has it. */
export function asClientsHave(examples: Examples): Examples {
  const inputs = new Float32Array(examples.inputs.length)
  const owners = ownersOf(examples)
  for (const { name, look } of CLIENTS) {
    const looks = look(examples.inputs)
    owners.forEach((owner, index) => {
      if (owner === name) inputs.set(looks.subarray(index * PIXELS, (index + 1) * PIXELS), index * PIXELS)
    })
  }
  return { ...examples, inputs }
}

/** A trained model, and its batch norms as modules of this library. */
export interface Trained<Module extends BatchNorm1d | DomainBatchNorm1d> {
  readonly model: Sequential
  readonly modules: readonly Module[]
  readonly network: Omit<Network, 'batchNorms'>
  /** Tells of whom the examples of the next call are. */
  readonly meet: (domain: string | readonly string[]) => void
}

/** One batch norm for all clients. */
export const oneForAll = (units: number) => new BatchNorm1d(units)

/** A domain for each client; an unknown one goes by the statistics of the first. */
export const domainEach = (units: number) =>
  new DomainBatchNorm1d(units, {
    domains: CLIENTS.map(({ name }) => name),
    fallback: CLIENTS[0].name,
    // A batch may have one digit of a client.
    singleValue: 'running',
  })

/** Trains a network on the digits of all clients; the same seed gives the same initial weights and order whatever `make`. */
export async function trainOnAll<Module extends BatchNorm1d | DomainBatchNorm1d>(
  examples: Examples,
  make: (units: number) => Module,
  settings: Settings,
  seed: number,
  onStep: (loss: number) => void,
): Promise<Trained<Module>> {
  const normLayers: NormLayer[] = []
  const modules: Module[] = []
  const model = createModel(ARCHITECTURE, seed, (units) => {
    const module = make(units)
    const layer = new NormLayer(module)
    modules.push(module)
    normLayers.push(layer)
    return layer
  })
  const meet = (domain: string | readonly string[]) => {
    for (const layer of normLayers) layer.domain = domain
  }
  const owners = ownersOf(examples)
  const beforeStep = (indices: Int32Array) => meet(Array.from(indices, (index) => owners[index]))
  await trainModel(model, asClientsHave(examples), scheduleOf(settings), seed, onStep, beforeStep)
  for (const layer of normLayers) layer.settle()
  for (const module of modules) module.eval()
  const { linears, activation } = networkOf(model, ARCHITECTURE)
  return { model, modules, network: { linears, activation }, meet }
}

/** Which tensors of a model leave a client, and which stay. */
import { type BatchNormKey, batchNormKeys, batchNormPrefixes, keyBelow } from '../checkpoints/batch-norms.ts'
import type { SafetensorsFile } from '../checkpoints/safetensors/file.ts'
import { invalidValue } from '../checks/errors.ts'
import { oneOf } from '../checks/scalars.ts'
import type { State } from '../modules/state-dict.ts'
import { stateSource } from './state-source.ts'

/** What of a batch norm stays with the client; see `federatedKeys`. */
export type FederatedMethod = 'fedbn' | 'silobn'

/** The keys of a state dict, each in one of two lists. */
export interface FederatedKeys {
  /** Of what goes to the server, which averages it. */
  readonly shared: string[]
  /** Of what stays with the client. */
  readonly local: string[]
}

const methods: readonly FederatedMethod[] = ['fedbn', 'silobn']
const statistics: readonly BatchNormKey[] = ['running_mean', 'running_var', 'num_batches_tracked']

/**
 * Which keys of a model's state dict a client sends to the server, and which it keeps, where clients have data of their
 * own kind each:
 *
 * - `'fedbn'`: all of a batch norm stays (Li et al. 2021, "FedBN: Federated Learning on Non-IID Features via Local Batch
 *   Normalization", https://arxiv.org/abs/2102.07623);
 * - `'silobn'`: its running statistics and its counter stay, scale and shift are shared (Andreux et al. 2020, "Siloed
 *   Federated Learning for Multi-Centric Histopathology Datasets", https://arxiv.org/abs/2008.07424).
 *
 * ```ts
 * const { shared } = federatedKeys(state, 'fedbn')
 * const message = encodeSafetensors(Object.fromEntries(shared.map((key) => [key, state[key]])))
 * ```
 *
 * A batch norm is what has a `running_mean` and a `running_var`; `weight`, `bias`, `num_batches_tracked` and
 * `raw_weight` beside them are its. One without running statistics has the keys of a layer norm: it is shared.
 *
 * @param state - of a whole model, or of one batch norm
 * @throws TypeError for what is no state dict; RangeError for another method, and for a state without a batch norm, all of
 * which would be shared
 */
export function federatedKeys(state: State | SafetensorsFile, method: FederatedMethod): FederatedKeys {
  const { keys } = stateSource('state', state)
  oneOf('method', method, methods)
  const there = new Set(keys)
  const staying = batchNormPrefixes(keys).flatMap((prefix) =>
    batchNormKeys(prefix, (key) => there.has(key))
      .filter((key) => method === 'fedbn' || statistics.includes(key))
      .map((key) => keyBelow(prefix, key)),
  )
  if (staying.length === 0) {
    throw invalidValue('state', 'one with the running_mean and running_var of a batch norm', keys)
  }
  const local = new Set(staying)
  return {
    shared: keys.filter((key) => !local.has(key)),
    local: keys.filter((key) => local.has(key)),
  }
}

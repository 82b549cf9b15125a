import { isSafetensorsFile, type SafetensorsFile } from '../checkpoints/safetensors/file.ts'
import { assertState, type State, type StateValue } from '../modules/state-dict.ts'

/** Keys and values of a state dict, wherever they are. */
export interface StateSource {
  readonly keys: readonly string[]
  readonly read: (key: string) => StateValue
}

/**
 * @param name - what errors call it
 * @throws TypeError for what is no state dict and no file
 */
export function stateSource(name: string, state: State | SafetensorsFile): StateSource {
  if (isSafetensorsFile(state)) {
    const { tensors } = state
    return { keys: [...tensors.keys()], read: (key) => tensors.get(key)?.numbers() as StateValue }
  }
  assertState(state, name)
  return { keys: Object.keys(state), read: (key) => state[key] }
}

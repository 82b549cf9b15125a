import { boolean, fraction, nonNegative } from '../../checks/scalars.ts'
import type { Convention } from './convention.ts'
import { noteOneMode } from './lost-options.ts'
import { complementNoting } from './momentum.ts'
import { biasOrZeros, fixedMomentum, runningStatistics, weightOrOnes } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * The operator `BatchNormalization` of ONNX, opset 15: its attributes and inputs under their names.
 * https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
 */
export interface OnnxParameters<Each = ConventionValues> {
  /** Default 1e-5. */
  epsilon?: number
  /** The weight of the *old* statistic: `running = input * momentum + current * (1 - momentum)`. Default 0.9. */
  momentum?: number
  /** Whether to normalize with the batch's statistics: 1 (or true), or 0. Default 0. */
  training_mode?: number | boolean
  scale: Each
  B: Each
  input_mean: Each
  input_var: Each
}

/** "ReduceVar refers to the population variance", says the page of the operator: it divides by n. */
export const onnx: Convention<OnnxParameters, OnnxParameters<Vector>> = {
  names: ['epsilon', 'momentum', 'training_mode', 'scale', 'B', 'input_mean', 'input_var'],
  runningVariance: { name: 'input_var', kind: 'biased' },

  from(parameters, reading) {
    const { epsilon = 1e-5, momentum = 0.9, training_mode = 0 } = parameters
    const isSwitch = training_mode === 0 || training_mode === 1
    return {
      weight: reading.vector('scale', parameters.scale, 'ONNX always has one: ones, for none'),
      bias: reading.vector('B', parameters.B, 'ONNX always has one: zeros, for none'),
      runningMean: reading.vector('input_mean', parameters.input_mean, 'ONNX always has one'),
      runningVar: reading.vector('input_var', parameters.input_var, 'ONNX always has one'),
      eps: nonNegative('epsilon', epsilon),
      momentum: complementNoting('momentum', fraction('momentum', momentum), reading.notes),
      layout: 'channels-first',
      training: isSwitch ? training_mode === 1 : boolean('training_mode', training_mode as boolean),
    }
  },

  to(source, notes) {
    const [input_mean, input_var] = runningStatistics('ONNX', source)
    if (source.layout === 'channels-last') {
      throw new TypeError(
        "Expected module with layout: 'channels-first' but received 'channels-last', and ONNX has the channels " +
          'second (transpose its input and output, or make a channels-first module of its state)',
      )
    }
    noteOneMode('ONNX', source, notes)
    return {
      epsilon: source.eps,
      momentum: complementNoting('momentum', fixedMomentum('ONNX', source), notes),
      training_mode: source.training ? 1 : 0,
      scale: weightOrOnes(source, 'scale', notes),
      B: biasOrZeros(source, 'B', notes),
      input_mean,
      input_var,
    }
  },
}

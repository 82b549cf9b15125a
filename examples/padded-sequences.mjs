// Sequences of different lengths in one batch, padded with zeros. With `lengths` the padding has no part in the
// statistics, nor in the gradients, and stays 0 in the output.
import { BatchNorm1d, tensor } from 'batchnorm'

const sequences = [[5, 7, 6], [8, 4], [6]]
const lengths = sequences.map((sequence) => sequence.length)
const longest = Math.max(...lengths)

// [N, C, L], of one channel.
const x = tensor(new Float32Array(sequences.length * longest), [sequences.length, 1, longest])
for (const [n, sequence] of sequences.entries()) x.data.set(sequence, n * longest)

const [withLengths, without] = [new BatchNorm1d(1, { momentum: 1 }), new BatchNorm1d(1, { momentum: 1 })]
const y = withLengths.forward(x, { lengths })
without.forward(x)

console.log('output       ', y.toString())
console.log('mean, lengths', withLengths.runningMean.data[0]) // of the six values that are there
console.log('mean, without', without.runningMean.data[0]) // of nine, of which three are padding

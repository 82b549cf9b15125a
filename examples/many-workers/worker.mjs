// One rank of a job that computes the batch norm of a whole batch together. What starts it says which rank it is: see
// the other files of this folder. Alone it is a job of one.
import { BatchNorm1d, tensor } from 'batchnorm'
import {
  averageGradients,
  convertSyncBatchNorm,
  gloo,
  mpi,
  revertSyncBatchNorm,
  solo,
} from 'batchnorm/distributed'

const { ENGINE = 'solo', RENDEZVOUS, JOB_ID, POD_IP } = process.env
const collective =
  ENGINE === 'mpi'
    ? await mpi()
    : ENGINE === 'gloo'
      ? await gloo({ rendezvous: RENDEZVOUS, jobId: JOB_ID, host: POD_IP })
      : solo()

/** Stands for reading the rows of this rank: 2 of rank 0, 3 of rank 1, and so on. */
const rows = 2 + collective.rank
const shard = tensor(
  Float32Array.from({ length: rows }, (_, row) => 10 * collective.rank + row),
  [rows, 1],
)

// How many rows all have, to scale the loss by.
const allRows = new Float64Array([rows])
await collective.allReduceSumAsync(allRows, 'rows')

const bn = convertSyncBatchNorm(new BatchNorm1d(1), collective)
const y = await bn.forwardAsync(shard)
// The loss is the mean of y * y / 2 over the rows of this rank; scaled, the mean of all ranks' is that of all rows.
const scale = (rows * collective.size) / allRows[0]
const gradient = tensor(
  y.data.map((value) => (scale * value) / rows),
  y.shape,
)
await bn.backwardAsync(gradient)
averageGradients(bn.parameters(), collective)

const mean = bn.runningMean.data[0].toFixed(3)
const gamma = bn.weight.grad[0].toFixed(3)
console.log(`rank ${collective.rank} of ${collective.size}: running mean ${mean}, gradient of gamma ${gamma}`)
// What is saved or served needs no other workers.
if (collective.rank === 0) console.log(revertSyncBatchNorm(bn).stateDict())
collective.close()

/**
 * One of the two ranks that are timed: `rank.ts gloo FOLDER RANK`, or `rank.ts mpi` under mpirun. Rank 0 says on stdout
 * what came of it.
 */
import { pathToFileURL } from 'node:url'
import { gloo, mpi } from '../../lib/distributed/index.ts'
import { measureNetwork } from './measure.ts'

const [engine, folder, rank] = process.argv.slice(2)
const place = () => ({ rank: Number(rank), size: 2, host: '127.0.0.1' })
const collective =
  engine === 'mpi'
    ? await mpi()
    : await gloo({ ...place(), rendezvous: pathToFileURL(folder).href, jobId: 'measuring' })
const network = measureNetwork(collective, () => performance.now() / 1000)
if (collective.rank === 0) process.stdout.write(JSON.stringify(network))
collective.close()

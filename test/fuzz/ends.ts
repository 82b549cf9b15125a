/** Processes and threads that end at moments of chance. The plan is the seed's; the moments are those of the machine. */
import { planOf } from '../support/end-plan.ts'
import { faultsOf } from '../support/ends.ts'
import { Fault, type Target } from './target.ts'

export const ends: Target = {
  name: 'ends',
  async run(random) {
    const plan = planOf(random)
    const faults = await faultsOf(plan)
    if (faults.length > 0) throw new Fault(`${faults.join('\n')}\n${JSON.stringify(plan, null, 2)}`)
  },
}

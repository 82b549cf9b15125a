import type { Buffer } from 'node:buffer'
import { invalidType, invalidValue } from '../../checks/errors.ts'
import type { Exchange } from './exchange.ts'
import { exchangeByFile } from './file.ts'
import { exchangeByRedis } from './redis.ts'
import { exchangeByTcp } from './tcp.ts'

/** Gives this rank's value to all others, and returns those of all, by rank. */
export type Rendezvous = (exchange: Exchange) => Promise<Buffer[]>

const expected = "a URL, such as 'file:/dir', 'tcp://host:port' or 'redis://host:port',"

/** Where ranks meet, by a URL. */
export function rendezvousAt(text: string): Rendezvous {
  if (typeof text !== 'string') throw invalidType('rendezvous', expected, text)
  if (!URL.canParse(text)) throw invalidValue('rendezvous', expected, text)
  const url = new URL(text)
  switch (url.protocol) {
    case 'file:':
      return (exchange) => exchangeByFile(decodeURIComponent(url.pathname), exchange)
    case 'tcp:':
      return byTcp(url, text)
    case 'redis:':
    case 'rediss:':
      return (exchange) => exchangeByRedis(text, exchange)
    default:
      throw invalidValue('rendezvous', expected, text)
  }
}

function byTcp({ hostname, port }: URL, text: string): Rendezvous {
  if (hostname === '' || port === '') throw invalidValue('rendezvous', 'tcp://host:port', text)
  // An address of IPv6 stands in brackets there.
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return (exchange) => exchangeByTcp(host, Number(port), exchange)
}

/** It becomes a name of a folder, and part of a key. */
export function checkedJobId(jobId: unknown): string {
  const wanted = 'letters, digits, dots, hyphens and underscores, of this attempt of the job alone,'
  if (typeof jobId !== 'string') throw invalidType('jobId', wanted, jobId)
  if (!/^[\w-][\w.-]{0,199}$/.test(jobId)) throw invalidValue('jobId', wanted, jobId)
  return jobId
}

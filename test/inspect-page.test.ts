/** `batchnorm inspect --html`: the histograms count every channel, and the page says what was found. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { parseHTML } from 'linkedom'
import { afterAll, describe, expect, test } from 'vitest'
import { logHistogram } from '../cli/inspect/histogram.ts'
import { inspect } from '../cli/inspect/inspect.ts'
import { roundValues } from '../cli/inspect/ticks.ts'
import { BatchNorm1d, saveSafetensors, tensor } from '../lib/index.ts'
import { below, normal, trained } from './support/module.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-inspect-'))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true }))
const options = { eps: 1e-5, json: false, force: false }

describe('a histogram', () => {
  const magnitude = fc.oneof(fc.constant(0), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }))

  test('counts every value, marked or not, in the bin that it lies in', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(magnitude, fc.boolean())), fc.array(magnitude), (channels, shown) => {
        const values = channels.map(([value]) => value)
        const isMarked = channels.map(([, marked]) => marked)
        const { domain, positive, bins, zero } = logHistogram(values, isMarked, shown)
        for (const places of [domain, positive]) expect(places.every(Number.isFinite)).toBe(true)
        const total = (key: 'count' | 'marked') => bins.reduce((sum, bin) => sum + bin[key], 0)
        expect([total('count'), total('marked')]).toEqual([values.length, isMarked.filter(Boolean).length])
        expect(zero !== null).toBe(values.includes(0))
        for (const { from, to } of bins) {
          expect(from).toBeGreaterThanOrEqual(domain[0])
          expect(to).toBeLessThanOrEqual(domain[1] + 1e-9)
        }
        const slack = (positive[1] - positive[0]) * 1e-12
        values.forEach((value) => {
          const place = value === 0 ? (zero as number) : Math.log10(value)
          const own = bins.find(({ from, to }) => from - slack <= place && place <= to + slack)
          expect(own?.count).toBeGreaterThan(0)
        })
        for (const value of shown.filter((each) => each > 0)) {
          expect(Math.log10(value)).toBeGreaterThan(domain[0])
          expect(Math.log10(value)).toBeLessThan(domain[1])
        }
      }),
    )
  })

  test('has the zeros left of everything, with a gap', () => {
    const { bins, zero, positive } = logHistogram([0, 0, 1e-30, 5], [true, false, false, false], [])
    expect(bins[0]).toMatchObject({ count: 2, marked: 1 })
    expect(bins[0].to).toBeLessThan(positive[0])
    expect(zero).toBe(bins[0].middle)
  })
})

describe('ticks', () => {
  test.each([
    [0.7, 1.45, [0.8, 1, 1.2, 1.4]],
    [9, 81, [20, 40, 60, 80]],
    [0.9, 40, [1, 2, 5, 10, 20]],
    [5e-4, 3, [1e-3, 0.01, 0.1, 1]],
    [1e-13, 20, [1e-12, 1e-9, 1e-6, 1e-3, 1]],
  ])('from %d to %d are at round values', (from, to, expected) => {
    expect(roundValues(Math.log10(from), Math.log10(to))).toEqual(expected)
  })

  test('are few, and inside, on every axis that a histogram may have', () => {
    const exponent = fc.double({ min: -323, max: 308, noNaN: true })
    fc.assert(
      fc.property(exponent, fc.double({ min: 0.302, max: 632, noNaN: true }), (from, span) => {
        const to = Math.min(from + span, 308.4)
        const ticks = roundValues(from, to).map(Math.log10)
        expect(ticks.length).toBeLessThanOrEqual(7)
        for (const tick of ticks) expect(tick >= from && tick <= to).toBe(true)
      }),
    )
  })
})

describe('the page', () => {
  const sick = trained(64)
  sick.weight?.data.fill(1).set([0, 1e-9], 3)
  sick.runningVar?.data.set([1e-6, Number.NaN], 10)
  sick.runningMean?.data.fill(1e9, 20, 21)
  sick.weight?.data.fill(-2, 30, 37)
  saveSafetensors(at('model.safetensors'), [
    ...below('healthy', trained(5)),
    ...below('<script>alert("sick")</script>', sick),
    ...below('one.channel', trained(1, { affine: false })),
  ])
  saveSafetensors(at('misfit.safetensors'), [
    ...below('healthy', trained(5)),
    ['misfit.running_mean', tensor([1, 2])],
    ['misfit.running_var', tensor([1])],
  ])

  test('has each batch norm with its channels, its findings in words, and its pictures with a text', async () => {
    const said = await inspect(at('model.safetensors'), { ...options, html: at('page.html') })
    expect(said).toBe(`Wrote ${at('page.html')}: 3 batch norms, 1 with findings.`)
    const text = readFileSync(at('page.html'), 'utf8')
    const { document } = parseHTML(text)
    const sections = [...document.querySelectorAll('main > details')]
    expect(sections.map((each) => each.querySelector('h2')?.textContent)).toEqual([
      '<script>alert("sick")</script>',
      'healthy',
      'one.channel',
    ])
    expect(sections.map((each) => each.querySelectorAll('svg').length)).toEqual([4, 4, 2])
    expect(sections[1].textContent).toContain('Channels: 5. Type: F32. Batches: 1.')
    expect([...sections[0].querySelectorAll('li')].map((item) => item.textContent)).toEqual([
      expect.stringMatching(/^non-finite in 1 of 64: \[11\]\. NaN or Infinity/),
      expect.stringMatching(/^dead scale in 2 of 64: \[3, 4\]\. \|weight\| below/),
      expect.stringMatching(/^variance near eps in 1 of 64: \[10\]\. running_var/),
      expect.stringMatching(/^mean far from zero in 1 of 64: \[20\]\. /),
    ])
    const [scale, shift, deviation, mean] = [...sections[0].querySelectorAll('svg')]
    expect(scale.getAttribute('aria-description')).toContain(
      'from −2 to 1. 7 of 64 negative. 2 of 64 flagged',
    )
    expect(shift.getAttribute('aria-label')).toBe('Shift: histogram over the channels')
    expect(deviation.getAttribute('aria-description')).toMatch(
      /1 of 64 flagged .* 1 NaN or infinite, not drawn/,
    )
    expect(mean.getAttribute('aria-description')).toContain('1 of 64 flagged')
    for (const svg of document.querySelectorAll('svg')) {
      expect(svg.getAttribute('role')).toBe('img')
      expect(svg.getAttribute('aria-label')).toMatch(/histogram over the channels/)
    }
    // The bars of the negative ones go down.
    const bars = (svg: typeof scale) =>
      [...svg.querySelectorAll('g[aria-label="rect"]')].map((g) => g.children.length)
    expect(bars(scale).slice(2)).toEqual([1, 1])
    expect(document.querySelectorAll('script, link, img, iframe')).toHaveLength(0)
    expect(text.replaceAll('http://www.w3.org/', '')).not.toMatch(/https?:|url\(|@import/)
  })

  test('has the numbers of every channel, signs and all, those with findings first', () => {
    const { document } = parseHTML(readFileSync(at('page.html'), 'utf8'))
    const sections = [...document.querySelectorAll('main > details')]
    const rows = (section: (typeof sections)[number]) =>
      [...section.querySelectorAll('details tr')].map((row) =>
        [...row.children].map((cell) => cell.textContent),
      )
    const [sickRows, healthyRows, plainRows] = sections.map(rows)
    const [header, ...body] = sickRows
    expect(header).toEqual(['channel', 'gamma', 'beta', 'running mean', 'running variance', 'findings'])
    expect(body).toHaveLength(64)
    expect(body.slice(0, 5).map(([channel, , , , , findings]) => [channel, findings])).toEqual([
      ['3', 'dead scale'],
      ['4', 'dead scale'],
      ['10', 'variance near eps'],
      ['11', 'non-finite'],
      ['20', 'mean far from zero'],
    ])
    expect(body.find(([channel]) => channel === '30')?.[1]).toBe('−2')
    expect(healthyRows.slice(1).map(([channel]) => channel)).toEqual(['0', '1', '2', '3', '4'])
    expect(plainRows[0]).toEqual(['channel', 'running mean', 'running variance', 'findings'])
  })

  test('has one that no module can load with its finding, and without pictures', async () => {
    const said = await inspect(at('misfit.safetensors'), { ...options, html: at('misfit.html') })
    expect(said).toMatch(/2 batch norms, 1 with findings\.$/)
    const { document } = parseHTML(readFileSync(at('misfit.html'), 'utf8'))
    const sections = [...document.querySelectorAll('main > details')]
    expect(sections.map((each) => each.querySelectorAll('svg').length)).toEqual([4, 0])
    expect(sections[1].querySelector('li')?.textContent).toMatch(
      /^misfit: running_var is F32 \[1\]\. a tensor/,
    )
  })

  test('compares running statistics with data, each channel in three pictures with a text', async () => {
    const bn = new BatchNorm1d(70)
    for (let seed = 0; seed < 100; seed++) bn.forward(normal([64, 70], seed))
    bn.runningMean?.data.fill(2, 3, 5)
    bn.runningVar?.data.fill(Number.NaN, 7, 8)
    saveSafetensors(at('norms.safetensors'), [...below('shifted', bn), ...below('without', trained(5))])
    saveSafetensors(
      at('inputs.safetensors'),
      [0, 1, 2].map((batch) => [`shifted.input.${batch}`, normal([64, 70], 100 + batch)] as const),
    )
    const paths = { data: at('inputs.safetensors'), html: at('gap.html') }
    const said = await inspect(at('norms.safetensors'), { ...options, ...paths })
    expect(said).toBe(`Wrote ${paths.html}: 2 batch norms, 1 with findings, 1 with verdicts.`)
    const { document } = parseHTML(readFileSync(at('gap.html'), 'utf8'))
    const [shifted, without] = [...document.querySelectorAll('main > details')]
    const badges = (section: typeof shifted) =>
      [...section.querySelectorAll('.badge')].map((each) => each.textContent)
    expect(badges(shifted)).toEqual(['non-finite', 'drift'])
    expect(badges(without)).toEqual(['no data'])
    expect([...shifted.querySelectorAll('li strong')].map((each) => each.textContent)).toEqual([
      'non-finite, which makes it NaN, in 1 of 70: [7].',
      expect.stringMatching(/^drift, [\d.]+ % of the gap, in 2 of 70: \[3, 4\]\.$/),
    ])
    const pictures = [...shifted.querySelectorAll('svg')].slice(4)
    expect(pictures.map((svg) => svg.getAttribute('aria-label'))).toEqual([
      'Mean: running and data: a dot for each channel',
      'Standard deviation: running and data: a dot for each channel',
      'Gap: before and after recalibrate: two marks for each channel',
    ])
    const marks = (svg: (typeof pictures)[number]) =>
      [...svg.querySelectorAll('g[aria-label="dot"]')].map((group) => group.children.length)
    expect(pictures.map(marks)).toEqual([[70], [69], [64, 64]])
    const texts = pictures.map((svg) => svg.getAttribute('aria-description'))
    expect(texts[1]).toContain(' 1 NaN or infinite, not drawn.')
    expect(texts[2]).toMatch(
      /from 1\.9\d in channel [34]\. 5 more are left out\. 1 NaN or infinite, not drawn\.$/,
    )
    expect(without.querySelectorAll('svg')).toHaveLength(4)
  })

  test('says so when there is no batch norm', async () => {
    saveSafetensors(at('plain.safetensors'), { weight: tensor([1, 2]) })
    await inspect(at('plain.safetensors'), { ...options, html: at('plain.html') })
    expect(readFileSync(at('plain.html'), 'utf8')).toContain('No batch norm: no key ends in running_mean')
  })

  test('is written over a file only with force, and only when the checkpoint can be read', async () => {
    writeFileSync(at('taken.html'), 'mine')
    writeFileSync(at('broken.safetensors'), 'not a safetensors file')
    const html = at('taken.html')
    await expect(inspect(at('model.safetensors'), { ...options, html })).rejects.toThrow(/--force/)
    await expect(inspect(at('broken.safetensors'), { ...options, html, force: true })).rejects.toThrow(
      /broken/,
    )
    expect(readFileSync(html, 'utf8')).toBe('mine')
    await inspect(at('model.safetensors'), { ...options, html, force: true })
    expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>/)
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })
})

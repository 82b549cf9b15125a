import { PIXELS } from '../training/digits.ts'
import { html, type Markup } from './markup.ts'

/** Shades of grey in a drawn digit, without paper. */
const SHADES = 10
const SIDE = Math.sqrt(PIXELS)

/** A digit as a picture, with a text for those who do not see it. */
export function drawDigit(pixels: Float32Array, label: string, description: string): Markup {
  return html`<svg viewBox="0 0 ${SIDE} ${SIDE}" role="img" aria-label="${label}" aria-description="${description}">${inkOf(pixels)}</svg>`
}

/** A path for each shade; its pixels are drawn as runs along the rows. */
function inkOf(pixels: Float32Array): Markup[] {
  const shades = pixels.map((ink) => Math.round(ink * SHADES))
  return Array.from({ length: SHADES }, (_, index) => {
    const shade = index + 1
    let path = ''
    for (let at = 0; at < PIXELS; at++) {
      if (shades[at] !== shade) continue
      const start = at
      while (shades[at + 1] === shade && (at + 1) % SIDE !== 0) at++
      path += `M${start % SIDE} ${Math.floor(start / SIDE)}h${at + 1 - start}v1h${start - at - 1}z`
    }
    return html`<path fill="currentColor" fill-opacity="${shade / SHADES}" d="${path}"/>`
  })
}

import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { html, Markup } from './markup.ts'

/**
 * Pictures for a page, as SVG. Colours are the page's (`var(--...)`), so that a picture follows its
 * light and dark theme.
 */

/** Wide for a screen, narrow for a phone: the text is of the same size in both. */
const WIDTHS = { wide: 520, narrow: 320 }

/** Options of Plot; a text for those who do not see the picture is not optional. */
type PictureOptions = Plot.PlotOptions & { ariaLabel: string; ariaDescription: string }

export function draw(options: PictureOptions): string {
  const { document } = parseHTML('<html></html>')
  const style = { fontSize: '12px', fontFamily: 'inherit' }
  const svg = Plot.plot({ height: 280, marginLeft: 48, marginBottom: 38, style, document, ...options })
  svg.setAttribute('role', 'img')
  return svg.outerHTML
}

/** A picture of one width, with its title and a caption. */
export function figure(title: string, svg: string, caption: string | Markup): Markup {
  return html`<figure class="card">
<h3>${title}</h3>
${new Markup(svg)}
<figcaption>${caption}</figcaption>
</figure>
`
}

/** A picture in both widths; the style sheet shows the one that fits. */
export function picture(title: string, chart: (width: number) => string, caption: string | Markup): Markup {
  const { wide, narrow } = WIDTHS
  const both = html`<div class="wide">${new Markup(chart(wide))}</div><div class="narrow">${new Markup(chart(narrow))}</div>`
  return figure(title, both.text, caption)
}

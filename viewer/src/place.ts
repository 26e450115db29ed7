/** The panel of a place: plumes or a table of every member's rain, wind and temperature, and CSV. */

import { button, el } from './dom'
import { digits, t, word } from './i18n'
import { label, markHour, plumes } from './plume'
import { SearchBox, type Found } from './search'
import { csv, quantiles, reaching, type Series } from './series'
import type { Run } from './session'
import { taiwan, taiwanHour, utc } from './time'
import { beaufort, compassPoint } from './units'

/** What the panel shows: a place with its series, or why there is none. */
export interface Shown {
  title: string
  subtitle: string
  series: Series | null
  note: string
  /** The name of the other view of this place, where there is one, and how to go there. */
  other: { label: string; go: () => void } | null
}

export class PlaceView {
  readonly element = el('section', { class: 'panel', 'aria-labelledby': 'place-title' })
  readonly search: SearchBox
  private readonly body = el('div', { class: 'body' })
  private shown: Shown | null = null
  private run: Run | null = null
  private at = 0
  private key = ''
  private table = false
  private traced: number | null = null

  constructor(choose: (found: Found) => void) {
    this.search = new SearchBox(choose)
    this.element.append(this.search.element, this.body)
    new ResizeObserver(() => this.draw()).observe(this.element)
  }

  show(run: Run | null, shown: Shown | null, at: number): void {
    const key = `${run?.entry.manifest} ${shown?.title} ${shown?.subtitle} ${shown?.note} ${shown?.other?.label}`
    const same = key === this.key && shown?.series === this.shown?.series
    if (run !== this.run || shown?.title !== this.shown?.title) this.traced = null
    Object.assign(this, { run, shown, at, key })
    if (same) return this.mark()
    this.search.board = run?.board ?? null
    this.search.relabel()
    this.draw()
  }

  /** Mark the hour in what is drawn already. */
  private mark(): void {
    for (const plume of this.body.querySelectorAll<SVGElement>('.plume')) markHour(plume, this.at)
    this.body.querySelectorAll('tbody tr').forEach((row, n) => row.classList.toggle('current', n === this.at))
  }

  /** Trace the next member, or the one before; after the last none. */
  trace(step: number): void {
    const count = this.shown?.series?.rain.length ?? 0
    if (!count) return
    const next = (this.traced ?? (step > 0 ? -1 : count)) + step
    this.traced = next < 0 || next >= count ? null : next
    this.draw()
  }

  private draw(): void {
    const { run, shown } = this
    const focused = this.element.contains(document.activeElement) ? document.activeElement!.id : ''
    if (!shown || !run) {
      this.body.replaceChildren(
        el('h2', { id: 'place-title' }, t('place.title')),
        el('p', { class: 'quiet' }, t('place.how')),
      )
      return
    }
    const { series } = shown
    this.body.replaceChildren(
      el('h2', { id: 'place-title' }, shown.title),
      el(
        'p',
        { class: 'subtitle' },
        shown.subtitle,
        shown.other && button(shown.other.label, shown.other.go, { id: 'place-other' }),
      ),
      ...(shown.note ? [el('p', { class: 'quiet' }, shown.note)] : []),
      ...(series ? [this.controls(run, series), this.content(run, series)] : []),
    )
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
  }

  private controls(run: Run, series: Series): HTMLElement {
    const view = (table: boolean) =>
      button(
        t(table ? 'place.table' : 'place.plume'),
        () => {
          this.table = table
          this.draw()
        },
        { 'aria-pressed': String(this.table === table), id: table ? 'place-table' : 'place-plume' },
      )
    const members = series.rain.map((_, m) => el('option', { value: m, selected: m === this.traced }, label(m)))
    const trace = el(
      'select',
      {
        id: 'place-member',
        onchange: (event: Event) => {
          const { value } = event.target as HTMLSelectElement
          this.traced = value === '' ? null : Number(value)
          this.draw()
        },
      },
      el('option', { value: '' }, t('place.all')),
      ...members,
    )
    return el(
      'div',
      { class: 'controls' },
      view(false),
      view(true),
      el('label', {}, t('place.member'), trace),
      button('CSV', () => this.save(run, series), { id: 'place-csv', title: t('place.csv') }),
    )
  }

  private content(run: Run, series: Series): HTMLElement {
    if (this.table) return this.rows(run, series)
    const width = Math.max(280, this.element.clientWidth - 24)
    const frame = { width, hours: run.hours, traced: this.traced }
    const drawn = plumes(series, frame)
    for (const plume of drawn) markHour(plume, this.at)
    return el('div', { class: 'plumes' }, ...drawn, el('p', { class: 'key' }, t('plume.key')))
  }

  private rows(run: Run, series: Series): HTMLElement {
    const q = (members: number[][]) => [0.05, 0.5, 0.95].map((level) => quantiles(members, level))
    const [rain, wind, warm] = [q(series.rain), q(series.wind), q(series.temperature)]
    const span = ([low, middle, high]: number[][], at: number, count: number) =>
      `${digits(middle[at], count)} (${digits(low[at], count)}–${digits(high[at], count)})`
    const heads = ['hour', 'rain', 'reach10', 'reach40', 'wind', 'force', 'from', 'temperature']
    return el(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': t('place.table') },
      el(
        'table',
        {},
        el('caption', {}, t('place.caption', { members: series.rain.length })),
        el('thead', {}, el('tr', {}, ...heads.map((name) => el('th', { scope: 'col' }, word('head', name))))),
        el(
          'tbody',
          {},
          ...run.hours.map((hour, at) =>
            el(
              'tr',
              { class: at === this.at ? 'current' : '' },
              el('th', { scope: 'row' }, taiwanHour(hour), el('small', {}, ` ${utc(hour)}`)),
              el('td', {}, span(rain, at, 1)),
              ...[10, 40].map((mm) => el('td', {}, `${reaching(series.rain, at, mm)}/${series.rain.length}`)),
              el('td', {}, span(wind, at, 1)),
              el('td', {}, digits(beaufort(wind[1][at]))),
              el(
                'td',
                {},
                Number.isNaN(series.from[at]) ? '–' : word('compass', String(compassPoint(series.from[at]))),
              ),
              el('td', {}, span(warm, at, 1)),
            ),
          ),
        ),
      ),
    )
  }

  private save(run: Run, series: Series): void {
    const [cycle] = run.entry.manifest.split('/')
    const name = `stormcast-${cycle}-${this.shown!.title.replaceAll(/[^\p{L}\p{N}.]+/gu, '-')}.csv`
    const address = URL.createObjectURL(new Blob([csv(run, series, this.shown!.title)], { type: 'text/csv' }))
    el('a', { href: address, download: name }).click()
    window.setTimeout(() => URL.revokeObjectURL(address), 1000)
  }
}

/** Latitude and longitude for people. */
export function spot([latitude, longitude]: [number, number]): string {
  return `${latitude.toFixed(3)}°N ${longitude.toFixed(3)}°E`
}

/** `08-12 15:00 (07Z)`: Taiwan's clock, and UTC beside it. */
export function both(at: number): string {
  return `${taiwan(at)} (${utc(at)})`
}

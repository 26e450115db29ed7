/** Plumes: what every member says of a place, as hand-written SVG. */

import { svg } from './dom'
import { digits, t, word } from './i18n'
import { peak, quantiles, reaching, type Series } from './series'
import { taiwanHour } from './time'
import { beaufort, compassPoint } from './units'

const LEFT = 40
const RIGHT = 12
const TOP = 24
const FOOT = 20
const LINE = 17
/** Pixels an hour, below which the wind is named by eight points of the compass and not sixteen. */
const NARROW = 32

/** One quantity: its axes are fixed steps, the same for all places, so that two can be compared. */
interface Panel {
  name: 'rain' | 'wind' | 'temperature'
  unit: string
  axes: Array<[number, number, number]>
  thresholds: Array<[number, string]>
  height: number
}

const PANELS: Panel[] = [
  {
    name: 'rain',
    unit: 'mm',
    axes: [
      [0, 50, 10],
      [0, 100, 20],
      [0, 200, 50],
    ],
    thresholds: [[40, '40']],
    height: 126,
  },
  {
    name: 'wind',
    unit: 'm/s',
    axes: [
      [0, 25, 5],
      [0, 50, 10],
      [0, 80, 20],
    ],
    thresholds: [
      [10.8, '6'],
      [20.8, '9'],
      [32.7, '12'],
    ],
    height: 106,
  },
  {
    name: 'temperature',
    unit: '°C',
    axes: [
      [10, 40, 10],
      [-10, 40, 10],
    ],
    thresholds: [
      [36, '36'],
      [10, '10'],
    ],
    height: 72,
  },
]
/** Chances of rain that are counted below its panel, mm in an hour. */
const COUNTED = [1, 10, 40]

interface Frame {
  width: number
  hours: number[]
  traced: number | null
}

/** All panels of a place. */
export function plumes(series: Series, frame: Frame): SVGElement[] {
  return PANELS.map((panel) => {
    const values = series[panel.name]
    const extra = panel.name === 'rain' ? counts(values, frame) : panel.name === 'wind' ? winds(series, frame) : []
    return drawn(panel, values, frame, extra)
  })
}

/** Mark an hour in a panel that is drawn. */
export function markHour(plume: SVGElement, at: number): void {
  const hours = plume.querySelectorAll('.hour')
  hours.forEach((hour, n) => hour.classList.toggle('current', n === at))
  plume.querySelector('.now')!.setAttribute('transform', `translate(${hours[at]?.getAttribute('x') ?? 0} 0)`)
}

function column(frame: Frame, at: number): number {
  return LEFT + ((at + 0.5) / frame.hours.length) * (frame.width - LEFT - RIGHT)
}

function drawn(panel: Panel, values: number[][], frame: Frame, extra: SVGElement[][]): SVGElement {
  const known = values.flat().filter((value) => !Number.isNaN(value))
  const [low, high] = [Math.min(...known), Math.max(...known)]
  const axis = panel.axes.find(([from, to]) => low >= from && high <= to) ?? panel.axes.at(-1)!
  const y = (value: number) => TOP + panel.height * (1 - (value - axis[0]) / (axis[1] - axis[0]))
  const height = TOP + panel.height + FOOT + extra.length * LINE
  const rows = extra.map((row, n) =>
    svg('g', { transform: `translate(0 ${TOP + panel.height + FOOT + (n + 1) * LINE - 5})` }, ...row),
  )
  return svg(
    'svg',
    {
      viewBox: `0 0 ${frame.width} ${height}`,
      width: frame.width,
      height,
      class: `plume ${panel.name}`,
      role: 'img',
      'aria-label': summary(panel, values),
    },
    svg('text', { x: 4, y: 13, class: 'heading' }, `${word('panel', panel.name)}  ${panel.unit}`),
    ...peakNote(panel, values, frame, y),
    ...grid(panel, axis, frame, y),
    ...members(values, frame, y),
    ...thresholdNames(panel, axis, y),
    ...rows,
  )
}

/** What a panel shows, in a sentence for those who do not see it. */
function summary(panel: Panel, values: number[][]): string {
  const { member, value } = peak(values)
  const median = quantiles(values, 0.5)
  return t('plume.summary', {
    name: word('panel', panel.name),
    unit: panel.unit,
    low: digits(Math.min(...median), 1),
    high: digits(Math.max(...median), 1),
    peak: digits(value, 1),
    member: label(member),
    members: values.length,
  })
}

/** A member as it is called: 07. */
export function label(member: number): string {
  return String(member).padStart(2, '0')
}

function peakNote(panel: Panel, values: number[][], frame: Frame, y: (value: number) => number): SVGElement[] {
  const { member, at, value } = peak(values)
  if (panel.name === 'temperature' || !Number.isFinite(value)) return []
  const note = t('plume.peak', {
    value: digits(value, 1),
    unit: panel.unit,
    member: label(member),
    hour: taiwanHour(frame.hours[at]),
  })
  return [
    svg('text', { x: frame.width - RIGHT, y: 13, class: 'note', 'text-anchor': 'end' }, note),
    svg('circle', { cx: column(frame, at), cy: y(value), r: 3, class: 'peak' }),
  ]
}

function grid(
  panel: Panel,
  [low, high, step]: [number, number, number],
  frame: Frame,
  y: (value: number) => number,
): SVGElement[] {
  const right = frame.width - RIGHT
  const made = [svg('rect', { x: -9, y: TOP, width: 18, height: panel.height, class: 'now' })]
  for (let value = low; value <= high; value += step) {
    made.push(svg('line', { x1: LEFT, x2: right, y1: y(value), y2: y(value), class: 'rule' }))
    made.push(svg('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, String(value)))
  }
  for (const [value] of panel.thresholds) {
    if (value < low || value > high) continue
    made.push(svg('line', { x1: LEFT, x2: right, y1: y(value), y2: y(value), class: 'threshold' }))
  }
  frame.hours.forEach((hour, at) => {
    made.push(
      svg(
        'text',
        { x: column(frame, at), y: TOP + panel.height + 14, 'text-anchor': 'middle', class: 'hour' },
        taiwanHour(hour),
      ),
    )
  })
  return made
}

function thresholdNames(
  panel: Panel,
  [low, high]: [number, number, number],
  y: (value: number) => number,
): SVGElement[] {
  return panel.thresholds
    .filter(([value]) => value >= low && value <= high)
    .map(([value, at]) =>
      svg('text', { x: LEFT + 4, y: y(value) - 3, class: 'threshold' }, word('threshold', panel.name, { at })),
    )
}

function line(values: number[], frame: Frame, y: (value: number) => number): string {
  return values.map((value, at) => `${at ? 'L' : 'M'}${column(frame, at).toFixed(1)} ${y(value).toFixed(1)}`).join('')
}

function members(values: number[][], frame: Frame, y: (value: number) => number): SVGElement[] {
  const band = (low: number, high: number): string => {
    const [below, above] = [quantiles(values, low), quantiles(values, high)]
    const back = below.map((value, at) => `L${column(frame, at).toFixed(1)} ${y(value).toFixed(1)}`).reverse()
    return `${line(above, frame, y)}${back.join('')}Z`
  }
  const traced = frame.traced === null ? undefined : values[frame.traced]
  return [
    svg('path', { d: band(0.05, 0.95), class: 'band wide' }),
    svg('path', { d: band(0.25, 0.75), class: 'band' }),
    ...values.map((member) => svg('path', { d: line(member, frame, y), class: 'member' })),
    svg('path', { d: line(quantiles(values, 0.5), frame, y), class: 'median' }),
    ...(traced ? [svg('path', { d: line(traced, frame, y), class: 'traced' })] : []),
  ]
}

/** A row for each threshold: how many members reach it. */
function counts(values: number[][], frame: Frame): SVGElement[][] {
  return COUNTED.map((threshold) => [
    svg('text', { x: LEFT - 6, 'text-anchor': 'end' }, `≥${threshold}`),
    ...frame.hours.map((_, at) => {
      const count = reaching(values, at, threshold)
      return svg(
        'text',
        { x: column(frame, at), 'text-anchor': 'middle', class: count ? 'count' : 'none' },
        count ? String(count) : '·',
      )
    }),
  ])
}

/** Arrows that the wind flies along, its direction and force of the median. */
function winds(series: Series, frame: Frame): SVGElement[][] {
  const median = quantiles(series.wind, 0.5)
  const arrow = (at: number) =>
    svg('path', {
      d: 'M0 -6V6M-3.5 2L0 6L3.5 2',
      class: 'arrow',
      transform: `translate(${column(frame, at)} -4) rotate(${series.from[at]})`,
    })
  const text = (at: number, said: string) =>
    svg('text', { x: column(frame, at), 'text-anchor': 'middle', class: 'compass' }, said)
  const heading = (said: string) => svg('text', { x: LEFT - 6, 'text-anchor': 'end' }, said)
  const known = (at: number) => !Number.isNaN(series.from[at])
  const points = (frame.width - LEFT - RIGHT) / frame.hours.length < NARROW ? 8 : 16
  const from = (at: number) => word('compass', String(compassPoint(series.from[at], points)))
  return [
    [heading(''), ...frame.hours.flatMap((_, at) => (known(at) ? [arrow(at)] : []))],
    [heading(t('wind.from')), ...frame.hours.map((_, at) => text(at, known(at) ? from(at) : '–'))],
    [heading(t('wind.force')), ...frame.hours.map((_, at) => text(at, digits(beaufort(median[at]))))],
  ]
}

/** The URL contract, version 1: the same URL shows the same picture.
 *
 * `?v=1&exp=&run=&f=&s=&thr=&t=2026-06-11T15&zone=10015|pt=22.04,121.55&z=lon,lat,k&lang=zh|en&pal=cwa|cb` and
 * `&theme=dark|light&barbs=0`; `root=`, where the published root is not the folder above the page; `now=`, a time to
 * rehearse at.
 * `t` is valid time by Taiwan's clock. What is left out is as in `START`; what is unknown is ignored, and named.
 */

import { QUANTITIES, STATISTICS } from './fields'
import { START, type View } from './state'
import { fromUrlHour, isoMinute, moment, toUrlHour } from './time'

type Reader = (text: string) => Partial<View> | null

function oneOf<Key extends keyof View>(key: Key, allowed: readonly string[]): Reader {
  return (text) => (allowed.includes(text) ? ({ [key]: text } as Partial<View>) : null)
}

function matching<Key extends keyof View>(key: Key, pattern: RegExp): Reader {
  return (text) => (pattern.test(text) ? ({ [key]: text } as Partial<View>) : null)
}

function numbers(text: string, count: number): number[] | null {
  const found = text.split(',').map(Number)
  return found.length === count && found.every(Number.isFinite) ? found : null
}

const READERS: Record<string, Reader> = {
  v: (text) => (text === '1' ? {} : null),
  root: matching('root', /^(?!.*\/\/)[\w./-]*$/),
  exp: matching('exp', /^[\w-]+$/),
  run: matching('run', /^\d{8}T\d\dZ\/[\w-]+$/),
  f: oneOf('f', Object.keys(QUANTITIES)),
  s: oneOf('s', Object.keys(STATISTICS)),
  thr: (text) => (text !== '' && Number.isFinite(Number(text)) ? { thr: Number(text) } : null),
  t: (text) => {
    const t = fromUrlHour(text)
    return t === null ? null : { t }
  },
  zone: (text) => (/^[\w-]+$/.test(text) ? { place: { zone: text } } : null),
  pt: (text) => {
    const pt = numbers(text, 2)
    return pt && { place: { pt: [pt[0], pt[1]] } }
  },
  z: (text) => {
    const z = numbers(text, 3)
    return z && z[2] >= 1 ? { z: [z[0], z[1], z[2]] } : null
  },
  lang: oneOf('lang', ['zh', 'en']),
  pal: oneOf('pal', ['cwa', 'cb']),
  theme: oneOf('theme', ['dark', 'light']),
  barbs: (text) => (['0', '1'].includes(text) ? { barbs: text === '1' } : null),
  now: (text) => (Number.isNaN(moment(text)) ? null : { now: moment(text) }),
}

/** The view that a query says, and what it says that nobody understands. */
export function parse(query: string): { view: View; ignored: string[] } {
  let view = START
  const ignored: string[] = []
  for (const [name, text] of new URLSearchParams(query)) {
    const read = READERS[name]?.(text) ?? null
    if (read === null) ignored.push(`${name}=${text}`)
    else view = { ...view, ...read }
  }
  return { view, ignored }
}

/** The query that says a view; what is as in `START` is left out. */
export function format(view: View): string {
  const { place, z } = view
  const said: Array<[string, string | null]> = [
    ['v', '1'],
    ...(['root', 'exp', 'run', 'f', 's', 'lang', 'pal', 'theme'] as const).map((name): [string, string | null] => [
      name,
      view[name] === START[name] ? null : view[name],
    ]),
    ['thr', view.thr === null ? null : String(view.thr)],
    ['t', view.t === null ? null : toUrlHour(view.t)],
    ['zone', place && 'zone' in place ? place.zone : null],
    ['pt', place && 'pt' in place ? place.pt.map((n) => n.toFixed(3)).join(',') : null],
    ['z', z && `${z[0].toFixed(3)},${z[1].toFixed(3)},${z[2].toFixed(2)}`],
    ['barbs', view.barbs ? null : '0'],
    ['now', view.now === null ? null : isoMinute(view.now)],
  ]
  const parts = said.filter((each): each is [string, string] => each[1] !== null)
  return `?${parts.map(([name, text]) => `${name}=${encoded(text)}`).join('&')}`
}

/** A value as a query has it; commas, slashes and colons may stay, and are easier to read. */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll('%2C', ',').replaceAll('%2F', '/').replaceAll('%3A', ':')
}

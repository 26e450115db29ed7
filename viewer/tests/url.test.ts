/** The URL contract: what is written is read back, what is unknown is named and ignored. */

import { expect, test } from 'vitest'
import { choiceOf, fitting, mapName, statistics, thresholds } from '../src/fields'
import type { Board, Hazard } from '../src/published'
import { START, type View } from '../src/state'
import { format, parse } from '../src/url'

const VIEWS: Array<Partial<View>> = [
  {},
  {
    run: '20260812T06Z/0123456789ab',
    f: 'tp24',
    s: 'nprob',
    thr: 200,
    lang: 'en',
    pal: 'cb',
    theme: 'light',
    barbs: false,
  },
  { t: Date.parse('2026-06-11T07:00:00Z'), place: { zone: '10015' }, z: [121.5, 23.7, 4] },
  { place: { pt: [22.04, 121.55] }, now: Date.parse('2026-08-12T09:20:00Z'), exp: 'oper', root: '../../published/' },
]

test.each(VIEWS)('a view is read back from its URL: %o', (change) => {
  const view = { ...START, ...change }
  expect(parse(format(view))).toEqual({ view, ignored: [] })
})

test('it is the documented form', () => {
  const url = format({ ...START, t: Date.parse('2026-06-11T07:00:00Z'), place: { pt: [22.04, 121.55] } })
  expect(url).toBe('?v=1&t=2026-06-11T15&pt=22.040,121.550')
})

test.each([
  'v=2',
  'f=snow',
  't=now',
  'pt=22',
  'lang=de',
  'z=1,2,0',
  'root=//elsewhere.org/',
  'root=https://elsewhere.org',
  'color=red',
])('%s is ignored and named', (part) => {
  expect(parse(`?${part}`)).toEqual({ view: START, ignored: [part] })
})

const NAMES = new Set([
  'tp01_mean',
  'tp01_lpmm',
  'tp01_probability_10',
  'tp01_probability_40',
  'tp01_neighbourhood_probability_40',
  'wind_speed_mean',
])
const BOARD = { hazards: [{ id: 'tp01_40' }, { id: 'wind_speed_6' }] as Hazard[] } as Board

test('names of maps', () => {
  expect(mapName({ f: 'tp24', s: 'prob', thr: 80 })).toBe('tp24_projected_probability_80')
  expect(mapName({ f: 'wind', s: 'max90', thr: null })).toBe('wind_speed_highest_quantile_p90')
  expect(mapName({ f: 'tp01', s: 'zever', thr: 40 })).toBeNull()
})

test('only what is there is offered', () => {
  expect(statistics('tp01', NAMES, BOARD)).toEqual(['lpmm', 'mean', 'zever', 'zprob', 'nprob', 'prob'])
  expect(thresholds('tp01', 'prob', NAMES, BOARD)).toEqual([10, 40])
  expect(thresholds('wind', 'zever', NAMES, BOARD)).toEqual([6])
})

test('the nearest choice that there is', () => {
  expect(fitting({ f: 'tp01', s: 'prob', thr: 20 }, NAMES, BOARD)).toEqual({ f: 'tp01', s: 'prob', thr: 10 })
  expect(fitting({ f: 'wind', s: 'lpmm', thr: null }, NAMES, BOARD)).toEqual({ f: 'wind', s: 'mean', thr: null })
  expect(choiceOf({ id: 'wind_speed_6' } as Hazard)).toEqual({ f: 'wind', s: 'zever', thr: 6 })
})

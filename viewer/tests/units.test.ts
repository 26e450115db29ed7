/** Units, time, words, barbs and the search: cases worked by hand. */

import { expect, test } from 'vitest'
import { feathers, strokes } from '../src/barbs'
import { contour } from '../src/contours'
import { chanceWord } from '../src/board'
import { Grid } from '../src/grid'
import { coordinates } from '../src/search'
import { age, cycleName, freshness, fromUrlHour, HOUR, MINUTE, moment, taiwan, toUrlHour, utc } from '../src/time'
import { beaufort, compassPoint, ordered, quantile, windFrom } from '../src/units'
import { peak, quantiles, reaching } from '../src/series'
import { pixels } from '../src/raster'
import en from '../lang/en.json'
import zh from '../lang/zh.json'

test.each([
  [0, 0],
  [0.3, 1],
  [10.79, 5],
  [10.8, 6],
  [20.8, 9],
  [32.7, 12],
  [60, 12],
])('%d m/s is force %d', (speed, force) => {
  expect(beaufort(speed)).toBe(force)
})

test('a wind is named after where it comes from', () => {
  expect(windFrom(0, -5)).toBe(0)
  expect(windFrom(-5, 0)).toBe(90)
  expect(windFrom(5, 0)).toBe(270)
  expect([0, 11.2, 11.3, 90, 348.8, 360].map((from) => compassPoint(from))).toEqual([0, 0, 1, 4, 0, 0])
  expect([22, 23, 338].map((from) => compassPoint(from, 8))).toEqual([0, 2, 0])
})

test('barbs', () => {
  expect(feathers(0)).toEqual({ pennants: 0, long: 0, short: 0 })
  expect(feathers(5 * 0.514444)).toEqual({ pennants: 0, long: 0, short: 1 })
  expect(feathers(65 * 0.514444)).toEqual({ pennants: 1, long: 1, short: 1 })
  const [shaft, ...worn] = strokes(feathers(65 * 0.514444))
  expect(shaft.slice(0, 3)).toEqual([0, 0, 0])
  expect(shaft[3]).toBeLessThan(0)
  expect(Math.max(...worn.flatMap(([x0, , x1]) => [x0, x1]))).toBeGreaterThan(0)
  expect(Math.min(...worn.flatMap(([x0, , x1]) => [x0, x1]))).toBe(0)
})

test('quantiles are linear between members, as numpy has them', () => {
  expect(quantile([1, 2, 4, 8], 0.5)).toBe(3)
  expect(quantile([1, 2, 4, 8], 0.9)).toBeCloseTo(6.8, 12)
  expect(ordered([3, NaN, 1])).toEqual([1, 3])
  expect(
    quantiles(
      [
        [1, 5],
        [3, 5],
      ],
      0.5,
    ),
  ).toEqual([2, 5])
})

test('members that reach, and the highest of all', () => {
  const members = [
    [0, 40],
    [39.9, 41],
    [50, 0],
  ]
  expect([0, 1].map((at) => reaching(members, at, 40))).toEqual([1, 2])
  expect(peak(members)).toEqual({ member: 2, at: 0, value: 50 })
})

test("Taiwan's clock first", () => {
  const at = moment('2026-08-12T17:00:00Z')
  expect([taiwan(at), utc(at), toUrlHour(at), cycleName(at)]).toEqual([
    '08-13 01:00',
    '17Z',
    '2026-08-13T01',
    '20260812T17Z',
  ])
  expect(fromUrlHour('2026-08-13T01')).toBe(at)
  expect(fromUrlHour('yesterday')).toBeNull()
})

test('late an hour after the next was due, stale six hours after it or past the last hour', () => {
  const due = moment('2026-08-12T15:00:00Z')
  const end = due + 24 * HOUR
  expect(freshness(due + HOUR, due, end)).toBe('fresh')
  expect(freshness(due + HOUR + 1, due, end)).toBe('late')
  expect(freshness(due + 6 * HOUR + 1, due, end)).toBe('stale')
  expect(freshness(due, due, due - 1)).toBe('stale')
})

test('ages', () => {
  expect([age(59 * MINUTE), age(119 * MINUTE), age(3.5 * HOUR), age(50 * HOUR)]).toEqual([
    [59, 'minutes'],
    [119, 'minutes'],
    [3, 'hours'],
    [2, 'days'],
  ])
})

test('words for chances are exact at their ends', () => {
  expect([2, 3, 7, 8].map((hits) => chanceWord(hits, 10))).toEqual(['low', 'medium', 'medium', 'high'])
})

test('coordinates in either order', () => {
  expect(coordinates('22.04,121.55')).toEqual([22.04, 121.55])
  expect(coordinates('121.55 22.04')).toEqual([22.04, 121.55])
  expect(coordinates('23.5°N 121°E')).toEqual([23.5, 121])
  expect(coordinates('花蓮')).toBeNull()
})

test('cells lie around their points', () => {
  const grid = new Grid([21.6, 25.6, 224], [119.75, 122.25, 128])
  expect(grid.cell(119.75, 21.6)).toEqual([0, 0])
  expect(grid.cell(122.25, 25.6)).toEqual([223, 127])
  expect(grid.cell(119.73, 21.6)).toBeNull()
  const [longitude, latitude] = grid.point(100, 50)
  expect(grid.cell(longitude + 0.009, latitude - 0.008)).toEqual([100, 50])
})

test('an image has the north on top, and low chances one cell in two', () => {
  const colours = new Uint32Array(256).map((_, n) => n)
  expect([...pixels([1, 2, 3, 4, 5, 6], 3, 2, { colours, offset: 0 })]).toEqual([5, 6, 3, 4, 1, 2])
  expect([...pixels([1, 1, 9, 1], 2, 2, { colours, offset: 0 }, 5)]).toEqual([9, 1, 1, 0])
})

test('contours cross where numbers pass the level, linear between points', () => {
  expect(contour([0, 0, 40, 40], 2, 2, 10)).toEqual([[1, 0.25, 0, 0.25]])
  expect(contour([40, 0, 0, 0], 2, 2, 40)).toEqual([[0, 0, 0, 0]])
  expect(contour([0, 0, 39, 39], 2, 2, 40)).toEqual([])
  expect(contour([0, NaN, 40, 40], 2, 2, 10)).toEqual([])
  expect(contour([40, 0, 0, 40], 2, 2, 20)).toHaveLength(2)
  const cone = Array.from({ length: 441 }, (_, n) => 20 - Math.hypot((n % 21) - 10, Math.floor(n / 21) - 10))
  for (const [x, y] of contour(cone, 21, 21, 14)) expect(Math.hypot(x - 10, y - 10)).toBeCloseTo(6, 1)
})

test('both languages have the same keys and the same gaps', () => {
  expect(Object.keys(en)).toEqual(Object.keys(zh))
  const gaps = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort()
  for (const key of Object.keys(zh) as Array<keyof typeof zh>) expect(gaps(en[key]), key).toEqual(gaps(zh[key]))
})

test('Taiwan is written 臺', () => {
  expect(Object.values(zh).filter((text) => text.includes('台'))).toEqual([])
})

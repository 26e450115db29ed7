/** Colours: classes begin at their edges, and the second palette can be told apart by colour-blind readers. */

import { expect, test } from 'vitest'
import { along, classes, classOf, type Kind, lookup, packedEdge, type Rgb } from '../src/colours'
import fixture from './fixture.json'

const about = JSON.parse(atob(fixture.files['maps/fields.json'])) as { kinds: Record<string, Kind> }
const { rain, temperature, wind, probability } = about.kinds
const hex = (colour: Rgb | null) => colour && colour.map((c) => c.toString(16).padStart(2, '0')).join('')

test.each([
  [0, null],
  [0.1, 'c6c5c3'],
  [0.9, 'c6c5c3'],
  [1, '9bffff'],
  [39.9, 'f8ff00'],
  [40, 'ffcb00'],
  [299.9, 'f805f3'],
  [300, 'fecbff'],
  [900, 'fecbff'],
])('%d mm of rain', (value, colour) => {
  expect(hex(classOf(classes(rain, 'cwa', 'dark'), value).colour)).toBe(colour)
})

test.each([
  [-3, '117388'],
  [0, '207e92'],
  [37.9, '845194'],
  [38, '8520a0'],
])('%d degrees', (value, colour) => {
  expect(hex(classOf(classes(temperature, 'cwa', 'dark'), value).colour)).toBe(colour)
})

test.each([
  [10.7, '4292c6'],
  [10.8, 'ffe08a'],
  [32.7, '9b1fc4'],
])('a wind of %d m/s', (value, colour) => {
  expect(hex(classOf(classes(wind, 'cwa', 'dark'), value).colour)).toBe(colour)
})

test('as many colours as classes', () => {
  for (const [kind, count] of [
    [rain, 18],
    [temperature, 40],
    [wind, 13],
  ] as const) {
    const table = classes(kind, 'cwa', 'dark')
    expect(table.length).toBe(count)
    expect(new Set(table.map(({ colour }) => hex(colour))).size).toBe(count)
  }
})

test('packed numbers fall into the class of the number that they stand for', () => {
  for (const kind of [rain, temperature, wind]) {
    const table = classes(kind, 'cwa', 'dark')
    const { colours, offset } = lookup(table, { scale: 0.1, fill: -32768 }, 16)
    for (let n = -400; n < 4000; n++) {
      const colour = classOf(table, Math.round(n) / 10).colour
      const [r, g, b] = colour ?? [0, 0, 0]
      expect(colours[n + offset]).toBe(colour ? ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0 : 0)
    }
    expect(colours[0]).toBe(0)
  }
})

test('edges in packed numbers are exact', () => {
  expect(packedEdge(0.3, 0.1)).toBe(3)
  expect(packedEdge(13.9, 0.1)).toBe(139)
  expect(packedEdge(0.3, 1 / 200)).toBe(60)
})

test('a chance of one member of sixteen is drawn, one below 5 % is not', () => {
  const table = classes(probability, 'cwa', 'dark')
  expect(classOf(table, 1 / 16).colour).not.toBeNull()
  expect(classOf(table, 0.04).colour).toBeNull()
})

/** CIELAB of sRGB, D65. */
function lab(colour: Rgb): Rgb {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
  const xyz = [
    0.4124 * r + 0.3576 * g + 0.1805 * b,
    0.2126 * r + 0.7152 * g + 0.0722 * b,
    0.0193 * r + 0.1192 * g + 0.9505 * b,
  ]
  const [x, y, z] = xyz
    .map((c, n) => c / [0.9505, 1, 1.089][n])
    .map((c) => (c > 0.008856 ? Math.cbrt(c) : 7.787 * c + 16 / 116))
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

/** Full deficiency after Machado, Oliveira and Fernandes (2009), in linear sRGB. */
const DEFICIENCIES: Record<string, number[][]> = {
  none: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
}

function seen(colour: Rgb, matrix: number[][]): Rgb {
  const linear = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
  const mixed = matrix.map((row) =>
    Math.min(
      1,
      Math.max(
        0,
        row.reduce((sum, weight, n) => sum + weight * linear[n], 0),
      ),
    ),
  )
  return mixed.map((c) => 255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055)) as Rgb
}

test.each(Object.entries(DEFICIENCIES))(
  'neighbouring classes of rain in the second palette differ: %s',
  (_, matrix) => {
    const colours = classes(rain, 'cb', 'dark').flatMap(({ colour }) => (colour ? [colour] : []))
    const places = colours.map((colour) => lab(seen(colour, matrix)))
    for (let n = 1; n < places.length; n++) {
      expect(Math.hypot(...places[n].map((c, k) => c - places[n - 1][k]))).toBeGreaterThanOrEqual(7)
      expect(places[n][0]).toBeGreaterThan(places[n - 1][0])
    }
  },
)

test('a ramp begins and ends with its ends', () => {
  expect(along(['000000', 'ffffff'], 3)).toEqual([
    [0, 0, 0],
    [128, 128, 128],
    [255, 255, 255],
  ])
})

/** The map: land, a field, borders and barbs on canvases of their own, so that an hour changes only what it must. */

import { select, type Selection } from 'd3-selection'
import { type D3ZoomEvent, zoom, zoomIdentity, type ZoomBehavior, type ZoomTransform } from 'd3-zoom'
import { addBarb } from './barbs'
import { type Borders, NARROW, plane } from './borders'
import { contours } from './contours'
import { el } from './dom'
import type { Grid } from './grid'
import { clear, hatching, paint } from './raster'
import { NOTHING, type Scene } from './painting'

const SHARP_AFTER_MS = 80
const BARB_EVERY_PX = 38

interface Hooks {
  point(longitude: number, latitude: number): void
  hover(place: [number, number] | null): void
  moved(z: [number, number, number] | null): void
}

export class MapView {
  readonly element = el('div', { class: 'canvases', tabindex: 0, role: 'img' })
  private readonly land = el('canvas')
  private readonly raster = el('canvas', { class: 'raster' })
  private readonly lines = el('canvas')
  private readonly marks = el('canvas')
  private readonly behaviour: ZoomBehavior<HTMLDivElement, unknown>
  private readonly target: Selection<HTMLDivElement, unknown, null, undefined>
  private transform: ZoomTransform = zoomIdentity
  private drawnAt: ZoomTransform = zoomIdentity
  private sharpen = 0
  private width = 0
  private height = 0
  private ratio = 1
  private scene = NOTHING
  private borders: Borders | null = null
  private grid: Grid | null = null

  constructor(private readonly hooks: Hooks) {
    this.element.append(this.land, this.raster, this.lines, this.marks)
    this.target = select(this.element)
    this.behaviour = zoom<HTMLDivElement, unknown>()
      .scaleExtent([1, 16])
      .on('zoom', (event) => this.zoomed(event))
    this.target.call(this.behaviour).on('dblclick.zoom', null)
    this.element.addEventListener('pointermove', (event) => hooks.hover(this.placeAt(event)))
    this.element.addEventListener('pointerleave', () => hooks.hover(null))
    this.element.addEventListener('click', (event) => {
      const place = this.placeAt(event)
      if (place) hooks.point(...place)
    })
    new ResizeObserver(() => this.resize()).observe(this.element)
  }

  setBorders(borders: Borders): void {
    this.borders = borders
    this.redraw()
  }

  setGrid(grid: Grid): void {
    this.grid = grid
    this.resize()
  }

  /** Draw a scene; only what differs from the one before. */
  show(scene: Scene): void {
    const before = this.scene
    this.scene = scene
    if (scene.painting !== before.painting) this.drawRaster()
    if (scene.painting !== before.painting || scene.barbs !== before.barbs) this.drawMarks()
    if (scene.fills !== before.fills || scene.zone !== before.zone || scene.point !== before.point) this.drawLines()
  }

  /** Put longitude and latitude into the middle, enlarged k times; null shows all. */
  look(z: [number, number, number] | null): void {
    if (!this.grid || !this.width) return
    const made = z ? this.centred(z) : zoomIdentity
    if (made.toString() !== this.transform.toString()) this.behaviour.transform(this.target, made)
  }

  /** Enlarge by a factor about the middle. */
  enlarge(factor: number): void {
    this.behaviour.scaleBy(this.target, factor)
  }

  /** Move by pixels. */
  pan(x: number, y: number): void {
    this.behaviour.translateBy(this.target, x / this.transform.k, y / this.transform.k)
  }

  private centred([longitude, latitude, k]: [number, number, number]): ZoomTransform {
    const [x, y] = this.base(...plane(longitude, latitude))
    return zoomIdentity.translate(this.width / 2 - k * x, this.height / 2 - k * y).scale(k)
  }

  /** Scale and shift from the plane to pixels, when nothing is enlarged. */
  private fit(): [number, number, number] {
    const [west, north, east, south] = this.grid!.box
    const scale = Math.min(this.width / (east - west), this.height / (south - north))
    return [scale, this.width / 2 - (scale * (west + east)) / 2, this.height / 2 - (scale * (north + south)) / 2]
  }

  private base(x: number, y: number): [number, number] {
    const [scale, dx, dy] = this.fit()
    return [scale * x + dx, scale * y + dy]
  }

  /** Longitude and latitude at a pixel. */
  private placeOf(px: number, py: number): [number, number] {
    const [scale, dx, dy] = this.fit()
    const [x, y] = this.transform.invert([px, py])
    return [(x - dx) / scale / NARROW, -(y - dy) / scale]
  }

  private placeAt(event: MouseEvent): [number, number] | null {
    if (!this.grid) return null
    const { left, top } = this.element.getBoundingClientRect()
    const place = this.placeOf(event.clientX - left, event.clientY - top)
    return this.grid.cell(...place) ? place : null
  }

  private resize(): void {
    this.width = this.element.clientWidth
    this.height = this.element.clientHeight
    this.ratio = Math.min(window.devicePixelRatio || 1, 2)
    for (const canvas of [this.land, this.lines, this.marks]) {
      canvas.width = this.width * this.ratio
      canvas.height = this.height * this.ratio
    }
    this.behaviour
      .extent([
        [0, 0],
        [this.width, this.height],
      ])
      .translateExtent([
        [0, 0],
        [this.width, this.height],
      ])
    this.redraw()
  }

  private zoomed(event: D3ZoomEvent<HTMLDivElement, unknown>): void {
    this.transform = event.transform
    this.place()
    window.clearTimeout(this.sharpen)
    this.sharpen = window.setTimeout(() => {
      this.redraw()
      if (event.sourceEvent) this.hooks.moved(this.middle())
    }, SHARP_AFTER_MS)
  }

  private middle(): [number, number, number] | null {
    if (this.transform.k === 1) return null
    return [...this.placeOf(this.width / 2, this.height / 2), this.transform.k]
  }

  private redraw(): void {
    if (!this.grid || !this.width) return
    this.drawnAt = this.transform
    this.drawLand()
    this.drawRaster()
    this.drawLines()
    this.drawMarks()
    this.place()
  }

  /** Place what is drawn where the map has been moved to; it is drawn sharp again when the map rests. */
  private place(): void {
    if (!this.grid) return
    const { x, y, k } = this.transform
    const [west, north, east, south] = this.grid.box
    const [left, top] = this.transform.apply(this.base(west, north))
    const [right, bottom] = this.transform.apply(this.base(east, south))
    const [sx, sy] = [(right - left) / this.grid.nx, (bottom - top) / this.grid.ny]
    this.raster.style.transform = `translate(${left}px, ${top}px) scale(${sx}, ${sy})`
    const factor = k / this.drawnAt.k
    const moved = `translate(${x - factor * this.drawnAt.x}px, ${y - factor * this.drawnAt.y}px) scale(${factor})`
    for (const canvas of [this.land, this.lines, this.marks]) canvas.style.transform = moved
  }

  /** A context cleared, in which the plane is drawn; returns pixels per unit of the plane beside it. */
  private inPlane(canvas: HTMLCanvasElement): [CanvasRenderingContext2D, number] {
    clear(canvas)
    const context = canvas.getContext('2d')!
    const [scale, dx, dy] = this.fit()
    const { x, y, k } = this.transform
    const r = this.ratio
    context.setTransform(r * k * scale, 0, 0, r * k * scale, r * (k * dx + x), r * (k * dy + y))
    return [context, k * scale]
  }

  private colour(name: string): string {
    return getComputedStyle(this.element).getPropertyValue(name)
  }

  private drawLand(): void {
    const [context] = this.inPlane(this.land)
    if (this.borders) {
      context.fillStyle = this.colour('--land')
      context.fill(this.borders.land, 'evenodd')
    }
    context.resetTransform()
  }

  private drawRaster(): void {
    const { painting } = this.scene
    if (!this.grid) return
    if (painting) paint(this.raster, this.grid, painting.field, painting.at, painting.look, painting.hatchBelow)
    else clear(this.raster)
  }

  private drawLines(): void {
    if (!this.borders || !this.grid || !this.width) return
    const [context, unit] = this.inPlane(this.lines)
    this.fillZones(context, unit)
    context.strokeStyle = this.colour('--township')
    context.lineWidth = 0.6 / unit
    context.stroke(this.borders.townships)
    this.strokeTwice(context, this.borders.counties, unit, 1, '--county')
    const chosen = this.scene.zone && this.borders.zones.get(this.scene.zone)
    if (chosen) this.strokeTwice(context, chosen.path, unit, 2.5, '--chosen')
    if (this.scene.point) {
      const ring = new Path2D()
      ring.arc(...plane(...this.scene.point), 8 / unit, 0, 2 * Math.PI)
      this.strokeTwice(context, ring, unit, 2.5, '--chosen')
    }
    context.resetTransform()
  }

  private fillZones(context: CanvasRenderingContext2D, unit: number): void {
    for (const [code, { colour, hatched }] of this.scene.fills) {
      const zone = this.borders!.zones.get(code)
      if (!zone) continue
      context.fillStyle = hatched ? hatching(context, colour, unit * this.ratio) : colour
      context.fill(zone.path, 'evenodd')
    }
  }

  private drawMarks(): void {
    clear(this.marks)
    const { barbs } = this.scene
    if (!this.grid || !this.width) return
    this.drawContours(this.grid)
    if (!barbs) return
    const context = this.marks.getContext('2d')!
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
    this.strokeTwice(context, this.barbPath(barbs, this.grid), 1, 1.2, '--barb')
  }

  private drawContours(grid: Grid): void {
    const { painting } = this.scene
    if (!painting) return
    const [context, unit] = this.inPlane(this.marks)
    contours(painting, grid).forEach((path, n) =>
      this.strokeTwice(context, path, unit, 1 + 0.7 * n, '--contour', '--halo'),
    )
  }

  /** Stroke a path so that it is seen on any ground: first wider, in the casing's colour. Widths are in pixels. */
  private strokeTwice(
    context: CanvasRenderingContext2D,
    path: Path2D,
    unit: number,
    px: number,
    colour: string,
    casing = '--casing',
  ): void {
    context.strokeStyle = this.colour(casing)
    context.lineWidth = (px + 1.8) / unit
    context.stroke(path)
    context.strokeStyle = this.colour(colour)
    context.lineWidth = px / unit
    context.stroke(path)
  }

  private barbPath({ speed, direction, at }: NonNullable<Scene['barbs']>, grid: Grid): Path2D {
    const path = new Path2D()
    for (let y = BARB_EVERY_PX / 2; y < this.height; y += BARB_EVERY_PX) {
      for (let x = BARB_EVERY_PX / 2; x < this.width; x += BARB_EVERY_PX) {
        const cell = grid.cell(...this.placeOf(x, y))
        if (!cell) continue
        const here = cell[0] * grid.nx + cell[1]
        const [blows, from] = [speed.value(at, here), direction.value(at, here)]
        if (!Number.isNaN(blows) && !Number.isNaN(from)) addBarb(path, x, y, blows, from)
      }
    }
    return path
  }
}

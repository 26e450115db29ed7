/** Borders of counties and townships: paths to draw, and which zone a point lies in. See `viewer/borders.py`. */

/** How far east a degree of longitude reaches, in degrees of latitude, in the middle of Taiwan. */
export const NARROW = Math.cos((23.6 * Math.PI) / 180)

/** The plane that maps are drawn in: degrees of latitude to the east and to the south. */
export function plane(longitude: number, latitude: number): [number, number] {
  return [longitude * NARROW, -latitude]
}

export interface BordersFile {
  step: number
  arcs: number[][]
  zones: Record<string, number[][][]>
}

type Line = Array<[number, number]>

/** The lines of all arcs, in the plane. */
export function lines({ arcs, step }: BordersFile): Line[] {
  return arcs.map((arc) => {
    let [x, y] = [0, 0]
    const line: Line = []
    for (let n = 0; n < arc.length; n += 2) {
      x += arc[n]
      y += arc[n + 1]
      line.push(plane(x * step, y * step))
    }
    return line
  })
}

function trace(path: Path2D, line: Line, begins: boolean): void {
  line.forEach(([x, y], n) => (n === 0 && begins ? path.moveTo(x, y) : path.lineTo(x, y)))
}

export interface Outline {
  code: string
  path: Path2D
  /** West, north, east and south in the plane. */
  box: [number, number, number, number]
}

/** Paths in the plane; counties are zones whose code is the beginning of others' (five digits of eight). */
export class Borders {
  readonly zones = new Map<string, Outline>()
  readonly land = new Path2D()
  readonly counties = new Path2D()
  readonly townships = new Path2D()
  private readonly probe = document.createElement('canvas').getContext('2d')!

  constructor(file: BordersFile) {
    const drawn = lines(file)
    const ofCounties = new Set<number>()
    for (const [code, polygons] of Object.entries(file.zones)) {
      const outline = this.outline(code, polygons, drawn)
      this.zones.set(code, outline)
      if (!isCounty(code)) continue
      this.land.addPath(outline.path)
      for (const arc of polygons.flat(2)) ofCounties.add(arc < 0 ? ~arc : arc)
    }
    drawn.forEach((line, n) => trace(ofCounties.has(n) ? this.counties : this.townships, line, true))
  }

  private outline(code: string, polygons: number[][][], drawn: Line[]): Outline {
    const path = new Path2D()
    const box: Outline['box'] = [Infinity, Infinity, -Infinity, -Infinity]
    for (const ring of polygons.flat()) {
      ring.forEach((arc, n) => {
        const line = arc < 0 ? [...drawn[~arc]].reverse() : drawn[arc]
        trace(path, line, n === 0)
        for (const [x, y] of line) {
          box[0] = Math.min(box[0], x)
          box[1] = Math.min(box[1], y)
          box[2] = Math.max(box[2], x)
          box[3] = Math.max(box[3], y)
        }
      })
      path.closePath()
    }
    return { code, path, box }
  }

  /** Longitude and latitude of the middle of a zone, null for one that is not drawn. */
  middle(code: string): [number, number] | null {
    const zone = this.zones.get(code)
    return zone ? [(zone.box[0] + zone.box[2]) / 2 / NARROW, -(zone.box[1] + zone.box[3]) / 2] : null
  }

  /** The code of the township at a point, else of the county, null at sea. */
  at(longitude: number, latitude: number): string | null {
    const [x, y] = plane(longitude, latitude)
    let found: string | null = null
    for (const { code, path, box } of this.zones.values()) {
      const near = x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]
      if (near && this.probe.isPointInPath(path, x, y, 'evenodd') && (found === null || !isCounty(code))) found = code
    }
    return found
  }
}

function isCounty(code: string): boolean {
  return code.length === 5
}

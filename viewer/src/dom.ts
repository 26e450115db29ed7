/** Elements in one line. */

type Child = Node | string | null | undefined | false
type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>

const SVG = 'http://www.w3.org/2000/svg'

function furnish(element: Element, attributes: Attributes, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value))
  }
  element.append(...children.filter((child): child is Node | string => !!child))
}

/** An HTML element; attributes that begin with `on` are listeners. */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  furnish(element, attributes, children)
  return element
}

/** An SVG element. */
export function svg(name: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement
  furnish(element, attributes, children)
  return element
}

/** A button with a word in it. */
export function button(label: string, onclick: () => void, attributes: Attributes = {}): HTMLButtonElement {
  return el('button', { type: 'button', onclick, ...attributes }, label)
}

/** Whether somebody types into what has the focus. */
export function isTyping(): boolean {
  const focused = document.activeElement
  return focused instanceof HTMLInputElement && focused.type !== 'range'
}

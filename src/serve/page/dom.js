// Builds elements. Text only ever becomes text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. An attribute that is null or false is left out; functions are listeners, named as their event. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...present(children));
  return element;
}

/** The children that are there, lists flattened. */
function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/**
 * Puts other children into `container`. What the reader has opened stays open, and the focus stays where it was: whatever has a
 * `data-keep` is known again by it.
 */
export function swap(container, ...children) {
  const kept = (root) => [...root.querySelectorAll("[data-keep]")];
  const open = new Map(kept(container).filter((element) => "open" in element).map((element) => [element.dataset.keep, element.open]));
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.keep : undefined;
  container.replaceChildren(...present(children));
  for (const element of kept(container)) {
    const { keep } = element.dataset;
    if (open.has(keep)) element.open = open.get(keep);
    if (keep === focused) element.focus({ preventScroll: true });
  }
}

/** A name for an element that others point to. */
export function freshId(prefix) {
  freshId.last = (freshId.last ?? 0) + 1;
  return `${prefix}-${freshId.last}`;
}

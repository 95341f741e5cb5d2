// Making elements. Text goes in as text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

/** Returns the element with an id; one that is missing is a mistake of ours. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/**
 * Returns a new element.
 * @param {string} tag its name, with classes after dots: "button.icon-button"
 * @param {object} properties properties; "on…" are listeners, "aria…" and "data-…" attributes
 * @param {...(Node|string|null)} children what it holds
 */
export function el(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Returns one of the drawings of the page's sprite. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Returns a button that is a drawing; its name is what a screen reader and a hovering mouse get. */
export function iconButton(name, label, onclick, properties = {}) {
  const button = el("button.icon-button", { type: "button", onclick, ...properties }, icon(name));
  nameButton(button, label);
  return button;
}

/** Names a button that is a drawing. */
export function nameButton(button, label) {
  button.setAttribute("aria-label", label);
  button.title = label;
}

/** Replaces the children of an element, and touches nothing if they are the same already. */
export function setChildren(parent, children) {
  const same = parent.childNodes.length === children.length
    && children.every((child, index) => parent.childNodes[index] === child);
  if (!same) parent.replaceChildren(...children);
}

/** Lets a text area be as tall as its text; the style sheet has the limit. */
export function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

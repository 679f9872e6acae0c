// Elements made of text, never of markup: names from runs cannot become elements.

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function options(select, entries, chosen) {
  const signature = JSON.stringify(entries);
  if (select.dataset.entries !== signature) {
    select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
    select.dataset.entries = signature;
  }
  select.value = String(chosen);
  if (select.selectedIndex < 0 && entries.length) select.selectedIndex = 0;
}

export const thousands = (number) => Math.round(number).toLocaleString("en-US");
export const digits = (value) => (value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(2));
export const counted = (count, noun) => `${thousands(count)} ${noun}${count === 1 ? "" : "s"}`;
export const words = (setting) => setting.split(".").at(-1).replaceAll("_", " ");

export function save(name, blob) {
  const link = make("a", { download: name.replace(/[^\w.+-]+/g, "_").slice(0, 120), href: URL.createObjectURL(blob) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

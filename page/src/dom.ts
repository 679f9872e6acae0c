// Elements made of text, never of markup: names from runs cannot become elements.

type Value = string | number | boolean | null | undefined | ((event: never) => void);
type Child = Node | string | null | undefined;

export const byId = <E extends HTMLElement = HTMLElement>(id: string): E => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page lacks #${id}`);
  return found as E;
};
export const select = (id: string): HTMLSelectElement => byId<HTMLSelectElement>(id);
export const input = (id: string): HTMLInputElement => byId<HTMLInputElement>(id);

export function make<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as (event: Event) => void);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function options(menu: HTMLSelectElement, entries: [string | number, string][], chosen: string | number): void {
  const signature = JSON.stringify(entries);
  if (menu.dataset.entries !== signature) {
    menu.replaceChildren(...entries.map(([value, text]) => new Option(text, String(value))));
    menu.dataset.entries = signature;
  }
  menu.value = String(chosen);
  if (menu.selectedIndex < 0 && entries.length) menu.selectedIndex = 0;
}

export const context = (canvas: HTMLCanvasElement): CanvasRenderingContext2D => {
  const found = canvas.getContext("2d");
  if (!found) throw new Error("this browser does not draw");
  return found;
};

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 }).format;
export const thousands = (number: number): string => whole(Math.round(number));
export const digits = (value: number | null | undefined): string =>
  value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(2);
export const counted = (count: number, noun: string): string => `${thousands(count)} ${noun}${count === 1 ? "" : "s"}`;
export const words = (setting: string): string => (setting.split(".").at(-1) ?? "").replaceAll("_", " ");
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export function save(name: string, blob: Blob | null): void {
  if (!blob) throw new Error(`${name} cannot be made`);
  const link = make("a", { download: name.replace(/[^\w.+-]+/g, "_").slice(0, 120), href: URL.createObjectURL(blob) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Light, dark, or as the system is.

import { byId } from "./dom";
import { touch } from "./store";

const NAMES = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = "auto";

function apply() {
  document.documentElement.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
  document.documentElement.style.colorScheme = document.documentElement.dataset.theme;
  byId("theme").textContent = `Theme: ${chosen}`;
  touch("theme");
}

export function startTheme() {
  try {
    chosen = NAMES.find((name) => name === localStorage.getItem("theme")) ?? "auto";
  } catch {
    chosen = "auto";
  }
  byId("theme").onclick = () => {
    chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
    try {
      localStorage.setItem("theme", chosen);
    } catch {
      /* a file from disk may have no storage */
    }
    apply();
  };
  system.addEventListener("change", apply);
  apply();
}

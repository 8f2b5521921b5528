// Light or dark: as the system says, or as the viewer has chosen. Runs before the first paint, so nothing flashes.

const KEY = "tillstream.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

/** Makes `button` go through the themes. */
export function offerThemes(button) {
  const name = () => {
    button.textContent = `Theme: ${chosen()}`;
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, NEXT[chosen()]);
    apply();
    name();
  });
  name();
}

function chosen() {
  const stored = localStorage.getItem(KEY);
  return stored in NEXT ? stored : "system";
}

function apply() {
  document.documentElement.dataset.theme = chosen();
}

apply();

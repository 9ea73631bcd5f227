import { getContext, setContext } from "svelte";

export type Choice = "system" | "light" | "dark";
const KEY = Symbol("theme");
const STORED = "downslope-theme";

/** What the notebook around us says of its own theme; undefined where there is none, or it says nothing. */
function surroundings(): boolean | undefined {
  const { body } = document;
  if (body.dataset.jpThemeLight !== undefined) return body.dataset.jpThemeLight === "false";
  if (body.classList.contains("vscode-dark")) return true;
  return body.classList.contains("vscode-light") ? false : undefined;
}

function stored(): Choice {
  try {
    const choice = localStorage.getItem(STORED);
    return choice === "light" || choice === "dark" ? choice : "system";
  } catch {
    return "system";
  }
}

/** Light or dark: as chosen here, else as the notebook is, else as the system is. */
export class Theme {
  choice = $state<Choice>(stored());
  private system = $state(surroundings() ?? matchMedia("(prefers-color-scheme: dark)").matches);

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
      this.system = surroundings() ?? event.matches;
    });
  }

  get name(): "light" | "dark" {
    const dark = this.choice === "system" ? this.system : this.choice === "dark";
    return dark ? "dark" : "light";
  }

  choose(choice: Choice): void {
    this.choice = choice;
    try {
      localStorage.setItem(STORED, choice);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }
}

export function provideTheme(theme: Theme): void {
  setContext(KEY, theme);
}

export function theme(): Theme {
  return getContext(KEY);
}

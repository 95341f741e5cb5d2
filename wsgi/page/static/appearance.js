// Light, dark or as the system; and the language's button.

import { byId, nameButton } from "./dom.js";
import { onLanguage, switchLanguage, t } from "./i18n.js";
import { recall, remember } from "./memory.js";

const NAMES = { auto: "themeAuto", light: "themeLight", dark: "themeDark" };

/** Makes the two buttons work. */
export function watchAppearance() {
  byId("theme").addEventListener("click", () => {
    const order = Object.keys(NAMES);
    set(order[(order.indexOf(chosen()) + 1) % order.length]);
  });
  byId("language").addEventListener("click", switchLanguage);
  onLanguage(() => {
    byId("language-name").textContent = t("otherName");
    byId("language").lang = t("otherName") === "中文" ? "zh-Hans" : "en";
    nameButton(byId("theme"), t(NAMES[chosen()]));
  });
}

function chosen() {
  const name = recall("theme");
  return name in NAMES ? name : "auto";
}

function set(theme) {
  remember("theme", theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  nameButton(byId("theme"), t(NAMES[theme]));
}

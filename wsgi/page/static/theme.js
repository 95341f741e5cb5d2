// Runs before anything is painted, so that a chosen theme does not flash: no module for that reason.
"use strict";
try {
  const theme = localStorage.getItem("pyllama.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden here: the browser's own preference holds.
}

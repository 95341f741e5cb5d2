// The language of the page: the browser's, or the one that was chosen.

import en from "./words.en.js";
import zh from "./words.zh.js";
import { recall, remember } from "./memory.js";

const LANGUAGES = { en, zh };
const listeners = new Set();
let current = pick();

function pick() {
  const chosen = recall("language");
  if (chosen in LANGUAGES) return chosen;
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
  return wanted.find((tag) => tag in LANGUAGES) ?? "en";
}

/** The code of the language: "en" or "zh". */
export const language = () => current;

/** Returns a text of the dictionary; `{name}` in it is filled in from the values. */
export function t(key, values = {}) {
  const text = LANGUAGES[current][key];
  if (text === undefined) throw new Error(`no word for ${key}`);
  const chosen = typeof text === "function" ? text(values) : text;
  return chosen.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Returns a number as people of this language write it. */
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(current, { maximumFractionDigits: digits, minimumFractionDigits: digits })
    .format(value);

/** Goes on to the other language. */
export function switchLanguage() {
  const codes = Object.keys(LANGUAGES);
  current = codes[(codes.indexOf(current) + 1) % codes.length];
  remember("language", current);
  translate();
}

/** Calls a function now and each time that the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
  listener();
}

/** Writes the words of the page's own markup, and tells everybody else. */
export function translate() {
  document.documentElement.lang = current === "zh" ? "zh-Hans" : current;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
    element.title = t(element.dataset.tLabel);
  }
  for (const element of document.querySelectorAll("[data-t-label-only]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabelOnly));
  }
  for (const element of document.querySelectorAll("[data-t-placeholder]")) {
    element.placeholder = t(element.dataset.tPlaceholder);
  }
  for (const listener of listeners) listener();
}

// What a person asks of every answer: kept for the next visit, checked before anything is sent.

import { onRemembered, recall, remember } from "./memory.js";

const NAME = "settings";

/** The numbers: their names in a request, and their ranges. An empty one is left to the server. */
export const NUMBERS = {
  maxTokens: { low: 1, high: 1000000, step: 1, preset: 1024 },
  seed: { low: -1, high: 4294967295, step: 1 },
  temperature: { low: 0, high: 5, step: 0.1 },
  topP: { low: 0, high: 1, step: 0.05 },
  topK: { low: 0, high: 100000, step: 1 },
  minP: { low: 0, high: 1, step: 0.01 },
  repeatPenalty: { low: 0.1, high: 10, step: 0.05 },
};
const REQUEST_NAMES = { repeatPenalty: "repetitionPenalty" };

// The values where neither the person nor the model's card says otherwise. A field that is empty is
// an empty text.
const PLAIN = Object.freeze({
  systemPrompt: "",
  think: true,
  jsonMode: "off",
  schema: "",
  tools: "",
  ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, NUMBERS[name].preset ?? ""])),
});

/** The values in force; changed with `change`. */
export const settings = { ...PLAIN };
const listeners = new Set();
// What the person decided, and no more: what they left alone follows the model.
let chosen = {};
let recommended = {};

take(recall(NAME));
onRemembered((name, text) => {
  if (name !== NAME) return;
  take(text);
  tell();
});

function take(text) {
  try {
    chosen = decided(fitting(JSON.parse(text) ?? {}));
  } catch {
    chosen = {};
  }
  apply();
}

// Only what is known by its name, and has the type that it should have.
function fitting(values) {
  const isFit = (name, value) => typeof value === typeof PLAIN[name] || (name in NUMBERS && ["number", "string"].includes(typeof value));
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => name in PLAIN && isFit(name, value)));
}

// The page once kept every value, chosen or not: in what it kept, a plain one was not chosen.
function decided(values) {
  if (!Object.keys(PLAIN).every((name) => name in values)) return values;
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== PLAIN[name]));
}

function apply() {
  Object.assign(settings, PLAIN, recommended, chosen);
}

function tell() {
  for (const listener of listeners) listener();
}

/** Sets some values, keeps them and tells everybody. */
export function change(values) {
  Object.assign(chosen, values);
  apply();
  remember(NAME, JSON.stringify(chosen));
  tell();
}

/** Goes back to what holds where the person decides nothing. */
export function reset() {
  chosen = {};
  change({});
}

/** Takes what suits the model, by the names of a request; it holds where the person says nothing. */
export function recommend(values) {
  const named = Object.keys(PLAIN).map((name) => [name, values[REQUEST_NAMES[name] ?? name]]);
  recommended = fitting(Object.fromEntries(named));
  apply();
  tell();
}

/** Calls a function each time that a value changes. */
export const onSettings = (listener) => listeners.add(listener);

/**
 * Returns what is wrong with a value, as a key of the dictionary and its values; null if nothing.
 * @param {string} name its name
 */
export function faultOf(name) {
  if (name in NUMBERS) return numberFault(settings[name], NUMBERS[name]);
  if (name === "schema" && settings.jsonMode === "schema") {
    return jsonFault(settings.schema, (value) => isObject(value) || typeof value === "boolean", "notObject");
  }
  if (name === "tools" && settings.tools.trim()) return jsonFault(settings.tools, Array.isArray, "notList");
  return null;
}

/** Whether all of it can be sent. */
export const isValid = () => Object.keys(PLAIN).every((name) => faultOf(name) === null);

/** Returns the members of a request that the settings make. */
export function requestOptions() {
  const options = { think: settings.think };
  for (const name of Object.keys(NUMBERS)) {
    if (settings[name] !== "") options[REQUEST_NAMES[name] ?? name] = Number(settings[name]);
  }
  if (settings.jsonMode === "any") options.jsonSchema = true;
  if (settings.jsonMode === "schema") options.jsonSchema = JSON.parse(settings.schema);
  if (settings.tools.trim()) options.tools = JSON.parse(settings.tools);
  return options;
}

function numberFault(value, { low, high, step }) {
  if (value === "") return null;
  const number = Number(value);
  const isWhole = step < 1 || Number.isInteger(number);
  if (Number.isFinite(number) && isWhole && low <= number && number <= high) return null;
  return { key: "outOfRange", values: { low, high } };
}

function jsonFault(text, isFit, key) {
  try {
    return isFit(JSON.parse(text)) ? null : { key, values: {} };
  } catch (error) {
    return { key: "notJson", values: { reason: error.message } };
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

// The settings as a drawer: each field is checked as it is written.

import { byId, el, setChildren } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { NUMBERS, change, faultOf, isValid, onSettings, reset, settings } from "./settings.js";

const dialog = byId("settings");
const inputs = new Map();

/** Shows the drawer; the first faulty field has the focus. */
export function openSettings() {
  dialog.showModal();
  const faulty = [...inputs].find(([name]) => faultOf(name) !== null);
  faulty?.[1].input.focus();
}

/** Whether the settings can be sent. If not, the drawer opens at what is wrong. */
export function checkSettings() {
  if (isValid()) return true;
  openSettings();
  return false;
}

byId("settings-open").addEventListener("click", openSettings);
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
onLanguage(build);
onSettings(update);

function build() {
  inputs.clear();
  byId("settings-fields").replaceChildren(
    group("groupAnswer",
      area("systemPrompt", "systemPromptHint"),
      el("div.pair", {}, numeric("maxTokens"), numeric("seed")),
      el("p.hint", {}, t("seedHint"))),
    group("groupSampling",
      el("div.pair", {}, ...["temperature", "topP", "topK", "minP", "repeatPenalty"].map(numeric)),
      el("p.hint", {}, t("fallbackHint"))),
    group("groupJson", choice("jsonMode", { off: "jsonOff", any: "jsonAny", schema: "jsonSchema" }), area("schema", null, "code")),
    group("groupTools", area("tools", "toolsHint", "code")),
    el("button.button", { type: "button", onclick: reset }, t("reset")),
  );
  update();
}

function update() {
  for (const [name, { input, fault, field }] of inputs) {
    const value = String(settings[name]);
    if (input.value !== value && document.activeElement !== input) input.value = value;
    const found = faultOf(name);
    fault.textContent = found ? t(found.key, found.values) : "";
    fault.hidden = !found;
    if (found) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    if (name === "schema") field.hidden = settings.jsonMode !== "schema";
  }
}

function group(key, ...children) {
  return el("fieldset", {}, el("legend", {}, t(key)), ...children);
}

function numeric(name) {
  const { low, high, step } = NUMBERS[name];
  const input = el("input", { type: "number", min: low, max: high, step: step === 1 ? 1 : "any", inputMode: step === 1 ? "numeric" : "decimal" });
  // What is no number at all reads as empty: it must be seen as wrong, not as absent.
  return labelled(name, input, () => (input.validity.badInput ? "?" : input.value));
}

function area(name, hint, kind = null) {
  const input = el(kind ? `textarea.${kind}` : "textarea", { spellcheck: kind !== "code", autocomplete: "off" });
  return labelled(name, input, () => input.value, hint);
}

function choice(name, options) {
  const input = el("select", {}, ...Object.entries(options).map(([value, key]) => el("option", { value }, t(key))));
  return labelled(name, input, () => input.value);
}

function labelled(name, input, read, hint = null) {
  input.id = `setting-${name}`;
  input.value = String(settings[name]);
  const fault = el("p.fault", { id: `fault-${name}`, hidden: true });
  const described = [fault.id];
  const children = [el("label", { for: input.id }, t(name)), input, fault];
  if (hint) {
    children.push(el("p.hint", { id: `hint-${name}` }, t(hint)));
    described.push(`hint-${name}`);
  }
  input.setAttribute("aria-describedby", described.join(" "));
  input.addEventListener("input", () => change({ [name]: read() }));
  const field = el("div.field", {});
  setChildren(field, children);
  inputs.set(name, { input, fault, field });
  return field;
}

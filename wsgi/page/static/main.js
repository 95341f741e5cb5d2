// Puts the page together.

import { addressedId } from "./address.js";
import { App } from "./app.js";
import { watchAppearance } from "./appearance.js";
import { Composer } from "./composer.js";
import { byId, el } from "./dom.js";
import { onLanguage, t, translate } from "./i18n.js";
import { Messages } from "./messages.js";
import { notify } from "./notices.js";
import { checkSettings } from "./panel.js";
import { endSession } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { check, isReady, watchServer } from "./status.js";
import { Store } from "./store.js";

const IDEAS = ["idea1", "idea2", "idea3"];

const store = new Store();
const app = new App(store);
const told = new Set();
store.onTrouble = (what) => {
  if (told.has(what)) return;
  told.add(what);
  notify(t(what === "full" ? "storageFull" : "storageNone"), { isError: true });
};

translate();
watchAppearance();

const checked = (action) => (...values) => {
  if (checkSettings()) action(...values);
};
const messages = new Messages({
  edit: checked((node, text) => app.edit(node, text)),
  regenerate: checked((node) => app.regenerate(node)),
  urlOf: (id) => store.urlOf(id),
  giveResult: checked((...result) => app.giveResult(...result)),
  revert: (node) => {
    app.revert(node);
    composer.focus();
  },
  showVersion: (node) => {
    app.showVersion(node);
    messages.focusMessage(node);
  },
}, (conversation) => app.runOf(conversation));

const composer = new Composer(store, (text, attachments) => {
  if (!checkSettings()) return false;
  if (!isReady()) {
    notify(t("notReady"));
    return false;
  }
  app.sendMessage(text, attachments);
  messages.toLatest();
  return true;
}, () => app.stop());

const sidebar = new Sidebar(app);

let shown = "";
app.onChange = (conversation) => {
  if (conversation.id === app.current.id) {
    messages.updateSoon();
    composer.isBusy = Boolean(app.runOf(app.current));
    showTitle();
  }
  // The list shows titles, the order and who is busy: nothing of it changes with every token.
  const state = JSON.stringify(app.all().map((each) => [each.id, each.title, Boolean(app.runOf(each))]));
  if (state !== shown) {
    shown = state;
    sidebar.update();
    check();
  }
};
app.onOpen = () => {
  messages.open(app.current);
  composer.isBusy = Boolean(app.runOf(app.current));
  showTitle();
  sidebar.update();
};

function showTitle() {
  const title = app.current.title || t("newChat");
  byId("title").textContent = title;
  document.title = app.current.title ? `${title} – pyllama` : "pyllama";
}

onLanguage(() => {
  byId("ideas").replaceChildren(...IDEAS.map((key) =>
    el("li", {}, el("button.chip-button", { type: "button", onclick: () => composer.fill(t(key)) }, t(key)))));
});

document.addEventListener("keydown", (event) => {
  const isTaken = event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]");
  if (event.key === "Escape" && !isTaken) app.stop();
});
addEventListener("hashchange", () => app.open(addressedId()));
addEventListener("visibilitychange", () => app.saveAll());
addEventListener("pagehide", () => {
  app.saveAll();
  endSession();
});

app.start(await store.open());
app.current = app.all().find((each) => each.id === addressedId()) ?? app.current;
app.onOpen();
onLanguage(() => {
  messages.update();
  showTitle();
});
if (matchMedia("(hover: hover)").matches) composer.focus();
document.documentElement.dataset.ready = "";
await watchServer();

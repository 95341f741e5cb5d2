// Conversations and attached files in IndexedDB; other tabs hear of every change.

const NAME = "pyllama";
const CHATS = "conversations";
const FILES = "files";

/** What is kept in this browser. Without IndexedDB it lasts as long as the page. */
export class Store {
  #database = null;
  #files = new Map();
  #urls = new Map();
  #channel = new BroadcastChannel(NAME);

  /** Called with why something was not kept: "full" or "none". */
  onTrouble = () => {};

  /** Called with the id of a conversation that another tab saved or deleted. */
  onForeignChange = () => {};

  /** Opens the database and returns all conversations. */
  async open() {
    this.#channel.onmessage = (event) => this.onForeignChange(event.data.id);
    try {
      this.#database = await openDatabase();
      return await this.#ask(CHATS, "readonly", (chats) => chats.getAll());
    } catch (error) {
      console.warn("no IndexedDB", error);
      this.onTrouble("none");
      return [];
    }
  }

  /** Keeps a conversation. It is under way when this returns, for the page may be closed then. */
  async save(conversation) {
    if (!this.#database) return;
    try {
      await this.#ask(CHATS, "readwrite", (chats) => chats.put(conversation));
      this.#tell(conversation.id);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Returns a conversation as it is kept, or undefined. */
  async load(id) {
    if (!this.#database) return undefined;
    return this.#ask(CHATS, "readonly", (chats) => chats.get(id));
  }

  /** Deletes a conversation and its files. */
  async remove(conversation) {
    const files = Object.values(conversation.nodes).flatMap((node) => node.attachments ?? []);
    for (const { id } of files) this.#drop(id);
    if (!this.#database) return;
    await this.#ask(CHATS, "readwrite", (chats) => chats.delete(conversation.id));
    for (const { id } of files) await this.#ask(FILES, "readwrite", (kept) => kept.delete(id));
    this.#tell(conversation.id);
  }

  /** Keeps the bytes of an attached file. */
  async saveFile(id, blob) {
    this.#files.set(id, blob);
    if (!this.#database) return;
    try {
      await this.#ask(FILES, "readwrite", (files) => files.put(blob, id));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Returns the bytes of an attached file, or undefined. */
  async loadFile(id) {
    if (this.#files.has(id) || !this.#database) return this.#files.get(id);
    return this.#ask(FILES, "readonly", (files) => files.get(id));
  }

  /** Returns an address of an attached file's bytes, good for this page alone, or undefined. */
  async urlOf(id) {
    const blob = this.#urls.has(id) ? null : await this.loadFile(id);
    if (blob && !this.#urls.has(id)) this.#urls.set(id, URL.createObjectURL(blob));
    return this.#urls.get(id);
  }

  #drop(id) {
    this.#files.delete(id);
    if (this.#urls.has(id)) URL.revokeObjectURL(this.#urls.get(id));
    this.#urls.delete(id);
  }

  #tell(id) {
    this.#channel.postMessage({ id });
  }

  #fail(error) {
    console.warn("not kept", error);
    this.onTrouble("full");
  }

  async #ask(name, mode, ask) {
    const transaction = this.#database.transaction(name, mode);
    const done = committed(transaction);
    const [value] = await Promise.all([answer(ask(transaction.objectStore(name))), done]);
    return value;
  }
}

function openDatabase() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(CHATS, { keyPath: "id" });
    request.result.createObjectStore(FILES);
  };
  return answer(request);
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

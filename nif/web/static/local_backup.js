// Keeps unsaved text in this browser until the server has it, so that closing the tab loses nothing.
const version = new URL(import.meta.url).search;
const { fieldsOf, textOf } = await import(`./autosave.js${version}`);
const MAX_AGE = 14 * 24 * 3600 * 1000;
const PREFIX = "nif-backup:";

const tabName = () => {
  const name = sessionStorage.getItem("nif-tab") || crypto.randomUUID();
  sessionStorage.setItem("nif-tab", name);
  return name;
};

const readBackup = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
};

// Reloads the form's own page with the backed-up text in it. Nothing is saved by that.
const restore = (form, text) => {
  const restored = document.createElement("form");
  restored.method = "post";
  restored.action = form.action;
  const fields = new URLSearchParams(text);
  fields.set("csrf_token", form.elements.csrf_token.value);
  fields.set("add", "restored-text");
  for (const [name, value] of fields) {
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    restored.append(field);
  }
  restored.hidden = true;
  document.body.append(restored);
  restored.submit();
};

const addButton = (parent, label, onClick) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "secondary";
  button.textContent = label;
  button.addEventListener("click", onClick);
  parent.append(button);
};

const offerRestore = (form, key, backup) => {
  const notice = document.createElement("div");
  notice.className = "notice";
  notice.id = "local-backup";
  const message = document.createElement("p");
  const when = new Date(backup.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  message.textContent = `This browser has unsaved text from ${when}.`;
  const actions = document.createElement("p");
  actions.className = "actions";
  addButton(actions, "Restore it", () => {
    localStorage.removeItem(key);
    restore(form, backup.text);
  });
  addButton(actions, "Discard it", () => {
    localStorage.removeItem(key);
    notice.remove();
  });
  notice.append(message, actions);
  form.before(notice);
};

export const startLocalBackup = (form) => {
  const prefix = () => `${PREFIX}${form.dataset.account}:${new URL(form.action).pathname}:`;
  let tab;
  try {
    tab = tabName();
    const current = textOf(fieldsOf(form));
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
    for (const key of keys) {
      const backup = readBackup(key);
      if (!backup || Date.now() - backup.at > MAX_AGE) localStorage.removeItem(key);
      else if (key.startsWith(prefix()) && textOf(backup.text) === current) localStorage.removeItem(key);
    }
    const newest = keys
      .filter((key) => key.startsWith(prefix()) && readBackup(key))
      .sort((a, b) => readBackup(b).at - readBackup(a).at)[0];
    if (newest && !("unsaved" in form.dataset)) offerRestore(form, newest, readBackup(newest));
  } catch {
    return { keep() {}, discard() {} }; // The browser refuses storage.
  }
  return {
    keep() {
      try {
        const text = fieldsOf(form).toString();
        localStorage.setItem(prefix() + tab, JSON.stringify({ text, at: Date.now() }));
      } catch {
        // The storage is full. What was saved is still on the server.
      }
    },
    discard() {
      localStorage.removeItem(prefix() + tab);
    },
  };
};

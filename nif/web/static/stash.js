// Keeps what is typed in this browser until the newsroom has it, so that a tab may be closed.
const version = new URL(import.meta.url).search;
const { fieldsOf, wordsOf } = await import(`./saving.js${version}`);
const KEPT_FOR = 14 * 24 * 3600 * 1000;

const nameOfTab = () => {
  const known = sessionStorage.getItem("nif-tab") || crypto.randomUUID();
  sessionStorage.setItem("nif-tab", known);
  return known;
};

const read = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
};

const bringBack = (form, text) => {
  // The form's own page, with these words in it: nothing is saved by that.
  const back = document.createElement("form");
  back.method = "post";
  back.action = form.action;
  const fields = new URLSearchParams(text);
  fields.set("csrf_token", form.elements.csrf_token.value);
  fields.set("add", "words");
  for (const [name, value] of fields) {
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    back.append(field);
  }
  back.hidden = true;
  document.body.append(back);
  back.submit();
};

const button = (words, press) => {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "second";
  made.textContent = words;
  made.addEventListener("click", press);
  return made;
};

const offer = (form, key, found) => {
  const notice = document.createElement("div");
  notice.className = "notice";
  notice.id = "kept-words";
  const line = document.createElement("p");
  const when = new Date(found.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  line.textContent = `This browser kept words of ${when} that did not reach the draft.`;
  const acts = document.createElement("p");
  acts.className = "actions";
  const drop = () => {
    localStorage.removeItem(key);
    notice.remove();
  };
  acts.append(
    button("Bring them back", () => {
      localStorage.removeItem(key);
      bringBack(form, found.text);
    }),
    button("Discard them", drop),
  );
  notice.append(line, acts);
  form.before(notice);
};

export const startStash = (form) => {
  const prefix = () => `nif-words:${form.dataset.account}:${new URL(form.action).pathname}:`;
  let own;
  try {
    own = nameOfTab();
    const now = wordsOf(fieldsOf(form));
    const kept = Object.keys(localStorage).filter((key) => key.startsWith("nif-words:"));
    for (const key of kept) {
      const found = read(key);
      if (!found || Date.now() - found.at > KEPT_FOR) localStorage.removeItem(key);
      else if (key.startsWith(prefix()) && wordsOf(found.text) === now) localStorage.removeItem(key);
    }
    const offered = kept
      .filter((key) => key.startsWith(prefix()) && read(key))
      .sort((a, b) => read(b).at - read(a).at)[0];
    if (offered && !("unsaved" in form.dataset)) offer(form, offered, read(offered));
  } catch {
    return { keep() {}, forget() {} }; // A browser that keeps nothing.
  }
  return {
    keep() {
      try {
        const text = fieldsOf(form).toString();
        localStorage.setItem(prefix() + own, JSON.stringify({ text, at: Date.now() }));
      } catch {
        // It is full. The newsroom still has what was saved.
      }
    },
    forget() {
      localStorage.removeItem(prefix() + own);
    },
  };
};

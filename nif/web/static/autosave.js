// Saves the story form a few seconds after typing stops, and when the page is left.
const PAUSE = 2000;
const RETRY_AFTER = 10000;
const KEEPALIVE_LIMIT = 60000; // Bytes. Browsers send at most 64 KB for a page that is already gone.

const clock = (moment) => moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export const fieldsOf = (form) => {
  const fields = new URLSearchParams(new FormData(form));
  fields.delete("csrf_token");
  return fields;
};

// What the editor typed, without the fields that the page manages.
export const textOf = (fields) => {
  const text = new URLSearchParams(fields);
  for (const name of ["edits", "story", "csrf_token", "add", "then"]) text.delete(name);
  return text.toString();
};

// Has the form changed since it was delivered? People may type before the scripts have loaded.
export const wasTyped = (form) => {
  const delivered = form.cloneNode(true);
  delivered.reset();
  return textOf(fieldsOf(form)) !== textOf(fieldsOf(delivered));
};

export const startAutosave = (form, { showStatus, backup, typed }) => {
  const token = form.elements.csrf_token.value;
  const currentText = () => textOf(fieldsOf(form));
  let saved = typed || "unsaved" in form.dataset ? null : currentText();
  let stopped = "overtaken" in form.dataset || "locked" in form.dataset;
  let inFlight = null;
  let timer = 0;
  let pressed;
  let submitted = false;

  const isDirty = () => currentText() !== saved;
  const address = () =>
    form.elements.story.value
      ? `/newsroom/stories/${form.elements.story.value}/autosave`
      : "/newsroom/stories/autosave";

  const dispatch = (name, detail) => form.dispatchEvent(new CustomEvent(name, { detail }));

  const applyAnswer = (answer, sent) => {
    form.elements.edits.value = answer.edits;
    if (!form.elements.story.value) {
      form.elements.story.value = answer.id;
      backup.discard();
      form.action = `/newsroom/stories/${answer.id}`;
      history.replaceState(null, "", form.action);
      const versions = document.getElementById("to-versions");
      versions.hidden = false;
      versions.querySelector("a").href = `${form.action}/versions`;
    }
    saved = sent;
    const checkbox = form.elements.ai_checked;
    if (checkbox && checkbox.checked && checkbox.value === "now" && answer.checked) {
      checkbox.value = answer.checked;
      saved = currentText() === sent ? saved : textOf(fieldsOf(form));
    }
    const [problem] = Object.values(answer.problems);
    if (!problem && !isDirty()) backup.discard();
    else backup.keep();
    showStatus(
      problem
        ? `Your text is kept, but the draft is not updated yet: ${problem}`
        : `Saved at ${clock(new Date())}`,
    );
  };

  const send = async (outlivesPage) => {
    const fields = fieldsOf(form);
    const sent = textOf(fields);
    const body = fields.toString();
    try {
      const response = await fetch(address(), {
        method: "POST",
        body: fields,
        headers: { "X-CSRFToken": token, Accept: "application/json" },
        keepalive: outlivesPage && body.length < KEEPALIVE_LIMIT,
        redirect: "manual",
      });
      const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
      if (response.ok && isJson) applyAnswer(await response.json(), sent);
      else if (response.status === 409 && isJson) {
        stopped = true;
        showStatus("The draft is not updated: someone else saved it. Your text is kept.");
        dispatch("overtaken", await response.json());
      } else {
        showStatus("Not saved: sign in again in another tab. Your text is kept in this browser.");
        timer = setTimeout(save, RETRY_AFTER);
      }
    } catch {
      showStatus("Offline: your text is kept in this browser, and saved when you are back online.");
      timer = setTimeout(save, RETRY_AFTER);
    }
  };

  async function save({ outlivesPage = false, leaving = false, requested = false } = {}) {
    clearTimeout(timer);
    if (stopped) return;
    if (!isDirty()) {
      if (requested) showStatus(form.elements.story.value ? "Already saved." : "Nothing to save yet.");
      return;
    }
    if (inFlight) {
      // A new story must not be created twice. When the page is left, the last text is sent at once:
      // it is kept as a version even if the draft refuses it.
      if (leaving && form.elements.story.value) send(true);
      else await inFlight.then(() => (isDirty() ? save() : undefined));
      return;
    }
    showStatus("Saving…");
    inFlight = send(outlivesPage);
    await inFlight;
    inFlight = null;
  }

  const onInput = () => {
    if (stopped && !("overtaken" in form.dataset)) return backup.keep();
    backup.keep();
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
    return undefined;
  };

  // Ticking the box again confirms that the current text was checked.
  form.elements.ai_checked?.addEventListener("change", ({ target }) => {
    target.value = "now";
  });
  form.addEventListener("input", onInput);
  form.addEventListener("change", onInput);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") save({ outlivesPage: true });
  });
  addEventListener("pagehide", () => save({ outlivesPage: true, leaving: true }));
  addEventListener("online", () => save());

  // The text is saved before the form is submitted. While that takes, the button pressed last counts;
  // once the form is submitted, pressing again sends nothing twice.
  form.addEventListener("submit", async (event) => {
    if (submitted) return event.preventDefault();
    const isMerge = event.submitter?.formAction.endsWith("/merge");
    if (stopped || isMerge || (!isDirty() && !inFlight)) {
      submitted = true;
      stopped = true;
      clearTimeout(timer);
      return undefined;
    }
    event.preventDefault();
    const isWaiting = pressed !== undefined;
    pressed = event.submitter;
    if (isWaiting) return undefined;
    await inFlight;
    await save();
    const button = pressed;
    pressed = undefined;
    if (stopped) return undefined;
    saved = currentText(); // If the autosave failed, the next page says what is wrong.
    form.requestSubmit(button);
    return undefined;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  if (saved === null && !stopped) timer = setTimeout(save, PAUSE);

  return {
    save,
    isIdle: () => !inFlight && !stopped,
    overwrite: (edits) => {
      form.elements.edits.value = edits;
      stopped = false;
      saved = null;
      return save();
    },
    stop: () => {
      stopped = true;
    },
  };
};

// Saves by itself some seconds after the typing stops, and when the page is left.
const PAUSE = 2000;
const AGAIN = 10000;
const TOO_LARGE_TO_OUTLIVE = 60000; // Bytes: browsers let 64 KB be sent by a page that is gone.

const clock = (moment) => moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export const fieldsOf = (form) => {
  const fields = new URLSearchParams(new FormData(form));
  fields.delete("csrf_token");
  return fields;
};

// What was typed, without what the page itself keeps count of.
export const wordsOf = (fields) => {
  const words = new URLSearchParams(fields);
  for (const name of ["edits", "story", "csrf_token", "add", "then"]) words.delete(name);
  return words.toString();
};

// Whether the form says something else than when it came: scripts may be slower than fingers.
export const wasTyped = (form) => {
  const asItCame = form.cloneNode(true);
  asItCame.reset();
  return wordsOf(fieldsOf(form)) !== wordsOf(fieldsOf(asItCame));
};

export const startSaving = (form, { say, stash, typed }) => {
  const token = form.elements.csrf_token.value;
  const words = () => wordsOf(fieldsOf(form));
  let saved = typed || "unsaved" in form.dataset ? null : words();
  let stopped = "overtaken" in form.dataset || "locked" in form.dataset;
  let underWay = null;
  let timer = 0;
  let pressed;
  let hasGone = false;

  const isDirty = () => words() !== saved;
  const address = () =>
    form.elements.story.value
      ? `/newsroom/stories/${form.elements.story.value}/autosave`
      : "/newsroom/stories/autosave";

  const tell = (name, detail) => form.dispatchEvent(new CustomEvent(name, { detail }));

  const settle = (answer, sent) => {
    form.elements.edits.value = answer.edits;
    if (!form.elements.story.value) {
      form.elements.story.value = answer.id;
      stash.forget();
      form.action = `/newsroom/stories/${answer.id}`;
      history.replaceState(null, "", form.action);
      const versions = document.getElementById("to-versions");
      versions.hidden = false;
      versions.querySelector("a").href = `${form.action}/versions`;
    }
    saved = sent;
    const tick = form.elements.ai_checked;
    if (tick && tick.checked && tick.value === "now" && answer.checked) {
      tick.value = answer.checked;
      saved = words() === sent ? saved : wordsOf(fieldsOf(form));
    }
    const [problem] = Object.values(answer.problems);
    if (!problem && !isDirty()) stash.forget();
    else stash.keep();
    say(problem ? `Kept, but not in the draft yet: ${problem}` : `Saved at ${clock(new Date())}`);
  };

  const send = async (outlives) => {
    const fields = fieldsOf(form);
    const sent = wordsOf(fields);
    const body = fields.toString();
    try {
      const answer = await fetch(address(), {
        method: "POST",
        body: fields,
        headers: { "X-CSRFToken": token, Accept: "application/json" },
        keepalive: outlives && body.length < TOO_LARGE_TO_OUTLIVE,
        redirect: "manual",
      });
      const isOurs = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      if (answer.ok && isOurs) settle(await answer.json(), sent);
      else if (answer.status === 409 && isOurs) {
        stopped = true;
        say("Not in the draft: it was saved by someone else. Your words are kept.");
        tell("overtaken", await answer.json());
      } else {
        say("Not saved: sign in again in another tab. Your words are kept in this browser.");
        timer = setTimeout(save, AGAIN);
      }
    } catch {
      say("Offline: your words are kept in this browser, and saved once it is back.");
      timer = setTimeout(save, AGAIN);
    }
  };

  async function save({ outlives = false, leaving = false, asked = false } = {}) {
    clearTimeout(timer);
    if (stopped) return;
    if (!isDirty()) {
      if (asked) say(form.elements.story.value ? "Saved already." : "Nothing to save yet.");
      return;
    }
    if (underWay) {
      // A story that is just being made must not be made twice. Of a page that is
      // left the last words are kept, though the draft may refuse them.
      if (leaving && form.elements.story.value) send(true);
      else await underWay.then(() => (isDirty() ? save() : undefined));
      return;
    }
    say("Saving…");
    underWay = send(outlives);
    await underWay;
    underWay = null;
  }

  const note = () => {
    if (stopped && !("overtaken" in form.dataset)) return stash.keep();
    stash.keep();
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
    return undefined;
  };

  // Whoever sets it again has checked the text of now.
  form.elements.ai_checked?.addEventListener("change", ({ target }) => {
    target.value = "now";
  });
  form.addEventListener("input", note);
  form.addEventListener("change", note);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") save({ outlives: true });
  });
  addEventListener("pagehide", () => save({ outlives: true, leaving: true }));
  addEventListener("online", () => save());

  // What the form carries on its way is safe before it goes. While it is being saved, the button
  // that was pressed last counts; once the form has gone, pressing again sends nothing twice.
  form.addEventListener("submit", async (event) => {
    if (hasGone) return event.preventDefault();
    const merges = event.submitter?.formAction.endsWith("/merge");
    if (stopped || merges || (!isDirty() && !underWay)) {
      hasGone = true;
      stopped = true;
      clearTimeout(timer);
      return undefined;
    }
    event.preventDefault();
    const isWaiting = pressed !== undefined;
    pressed = event.submitter;
    if (isWaiting) return undefined;
    await underWay;
    await save();
    const button = pressed;
    pressed = undefined;
    if (stopped) return undefined;
    saved = words(); // What could not be saved by itself is told by the page that comes.
    form.requestSubmit(button);
    return undefined;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  if (saved === null && !stopped) timer = setTimeout(save, PAUSE);

  return {
    save,
    isIdle: () => !underWay && !stopped,
    takeOver: (edits) => {
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

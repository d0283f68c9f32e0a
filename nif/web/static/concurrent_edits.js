// Shows who else is editing the story, and says so when someone has saved it meanwhile.
const POLL_EVERY = 15000;

const ago = (moment, now) => {
  const seconds = Math.max(0, Math.round((new Date(now) - new Date(moment)) / 1000));
  return seconds < 60 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
};

const element = (name, properties, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};

export const watchConcurrentEdits = (form, autosave) => {
  const conflict = document.getElementById("edit-conflict");
  const presence = element("p", { className: "muted small", id: "presence" });
  presence.setAttribute("role", "status");
  document.getElementById("save-status").after(presence);

  const showConflict = (state) => {
    if (conflict.childElementCount) return;
    autosave.stop();
    const address = `/newsroom/stories/${state.id}`;
    const who = state.mine ? "You saved this story in another tab" : `${state.by || "Someone else"} saved this story`;
    const when = new Date(state.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const isClosed = ["scheduled", "published"].includes(state.state);
    const actions = element("p", { className: "actions" });
    actions.append(
      element("a", {
        className: "button secondary", href: address, target: "_blank", rel: "noopener",
        textContent: state.mine ? "See it" : "See their version",
      }),
    );
    if (!isClosed) {
      const merge = element("button", { textContent: "Merge field by field" });
      merge.setAttribute("form", form.id);
      merge.setAttribute("formaction", `${address}/merge`);
      const overwrite = element("button", {
        type: "button", className: "secondary", textContent: "Overwrite with mine",
      });
      overwrite.addEventListener("click", () => {
        conflict.replaceChildren();
        autosave.overwrite(state.edits);
      });
      actions.prepend(merge);
      actions.append(overwrite);
    }
    const title = element("b", { textContent: isClosed ? `This story is now ${state.state}.` : `${who} at ${when}.` });
    const rest = " Your text is still here, and kept as a version. Nothing more is saved until you choose.";
    conflict.replaceChildren(element("div", { className: "notice" }, element("p", {}, title, rest), actions));
  };

  const poll = async () => {
    const id = form.elements.story.value;
    if (!id || document.visibilityState !== "visible") return;
    try {
      const before = form.elements.edits.value;
      const response = await fetch(`/newsroom/stories/${id}/autosave`, { redirect: "manual" });
      if (!response.ok) return;
      const state = await response.json();
      const editors = state.editors.map(
        ({ name, at }) => `${name} is editing this story too (last typed ${ago(at, state.now)})`,
      );
      if (presence.textContent !== editors.join(". ")) presence.textContent = editors.join(". ");
      const isUnchangedHere = form.elements.edits.value === before;
      const hasMoved = state.edits > Number(before) || ["scheduled", "published"].includes(state.state);
      if (isUnchangedHere && autosave.isIdle() && hasMoved) showConflict(state);
    } catch {
      // The next poll tries again.
    }
  };

  form.addEventListener("overtaken", (event) => showConflict(event.detail));
  document.addEventListener("visibilitychange", poll);
  setInterval(poll, POLL_EVERY);
  poll();
};

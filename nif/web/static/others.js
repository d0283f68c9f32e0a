// Tells an editor of the others: who else is writing, and who has saved meanwhile.
const EVERY = 15000;

const ago = (moment, now) => {
  const seconds = Math.max(0, Math.round((new Date(now) - new Date(moment)) / 1000));
  return seconds < 60 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
};

const element = (name, given, ...within) => {
  const made = Object.assign(document.createElement(name), given);
  made.append(...within);
  return made;
};

export const startOthers = (form, saving) => {
  const place = document.getElementById("word-of-others");
  const presence = element("p", { className: "quiet small", id: "presence" });
  presence.setAttribute("role", "status");
  document.getElementById("saying").after(presence);

  const overtaken = (answer) => {
    if (place.childElementCount) return;
    saving.stop();
    const at = `/newsroom/stories/${answer.id}`;
    const who = answer.mine ? "You have saved this story in another tab" : `${answer.by || "Someone else"} saved this story`;
    const when = new Date(answer.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const closed = ["scheduled", "published"].includes(answer.state);
    const acts = element("p", { className: "actions" });
    acts.append(
      element("a", { className: "button second", href: at, target: "_blank", rel: "noopener", textContent: answer.mine ? "See it" : "See theirs" }),
    );
    if (!closed) {
      const merge = element("button", { textContent: "Merge field by field" });
      merge.setAttribute("form", form.id);
      merge.setAttribute("formaction", `${at}/merge`);
      const take = element("button", { type: "button", className: "second", textContent: "Take over with mine" });
      take.addEventListener("click", () => {
        place.replaceChildren();
        saving.takeOver(answer.edits);
      });
      acts.prepend(merge);
      acts.append(take);
    }
    const first = element("b", { textContent: closed ? `This story is ${answer.state} now.` : `${who} at ${when}.` });
    const rest = " What you typed is still here, and kept among the versions. Nothing more is saved until you choose.";
    place.replaceChildren(element("div", { className: "notice" }, element("p", {}, first, rest), acts));
  };

  const look = async () => {
    const id = form.elements.story.value;
    if (!id || document.visibilityState !== "visible") return;
    try {
      const before = form.elements.edits.value;
      const answer = await fetch(`/newsroom/stories/${id}/autosave`, { redirect: "manual" });
      if (!answer.ok) return;
      const found = await answer.json();
      const words = found.others.map((one) => `${one.name} is editing this, typed ${ago(one.at, found.now)}`);
      if (presence.textContent !== words.join(". ")) presence.textContent = words.join(". ");
      const same = form.elements.edits.value === before;
      const moved = found.edits > Number(before) || ["scheduled", "published"].includes(found.state);
      if (same && saving.isIdle() && moved) overtaken(found);
    } catch {
      // It is asked again soon.
    }
  };

  form.addEventListener("overtaken", (event) => overtaken(event.detail));
  document.addEventListener("visibilitychange", look);
  setInterval(look, EVERY);
  look();
};

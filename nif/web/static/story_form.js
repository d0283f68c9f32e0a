// Progressive enhancement of the story form. Each part is optional: the form works without script.
const version = new URL(import.meta.url).search;
const load = (name) => import(`./${name}.js${version}`);

const form = document.getElementById("story");
const status = document.getElementById("save-status");
const showStatus = (text) => {
  if (status.textContent !== text) status.textContent = text;
};

const [{ startAutosave, wasTyped }, { startLocalBackup }, { watchConcurrentEdits }, { startLivePreview }] =
  await Promise.all(["autosave", "local_backup", "concurrent_edits", "live_preview"].map(load));
const richBullets = await load("rich_bullets").catch(console.error);
const typed = wasTyped(form);
// Before autosave starts, so that what the editors put into the fields is the baseline to compare with.
try {
  for (const area of form.querySelectorAll('textarea[name$="-bullets"]')) richBullets?.enhance(area, form);
} catch (error) {
  console.error(error); // The textareas are still there.
}

const backup = startLocalBackup(form);
const autosave = startAutosave(form, { showStatus, backup, typed });
watchConcurrentEdits(form, autosave);
const preview = startLivePreview(form);

document.addEventListener("keydown", (event) => {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command && !event.shiftKey && !event.altKey && key === "s") {
    event.preventDefault();
    autosave.save({ requested: true });
  } else if (command && event.shiftKey && key === "p") {
    event.preventDefault();
    preview.toggle();
  } else if (event.key === "?" && !event.target.closest("input, textarea, [contenteditable]")) {
    const help = document.querySelector("details.help");
    help.open = true;
    help.querySelector("summary").focus();
  }
});

document.documentElement.dataset.storyForm = "ready";

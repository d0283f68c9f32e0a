// The form of a story, while someone writes: each part is a nicety, and the form is whole without.
const version = new URL(import.meta.url).search;
const part = (name) => import(`./${name}.js${version}`);

const form = document.getElementById("story");
const saying = document.getElementById("saying");
const say = (words) => {
  if (saying.textContent !== words) saying.textContent = words;
};

const [{ startSaving, wasTyped }, { startStash }, { startOthers }, { startLive }] = await Promise.all(
  ["saving", "stash", "others", "live"].map(part),
);
const rich = await part("rich").catch(console.error);
const typed = wasTyped(form);
// Before saving starts, so that what it puts into the fields is what is compared from then on.
try {
  for (const area of form.querySelectorAll('textarea[name$="-bullets"]')) rich?.enrich(area, form);
} catch (error) {
  console.error(error); // The textareas are still there.
}

const stash = startStash(form);
const saving = startSaving(form, { say, stash, typed });
startOthers(form, saving);
const live = startLive(form);

document.addEventListener("keydown", (event) => {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command && !event.shiftKey && !event.altKey && key === "s") {
    event.preventDefault();
    saving.save({ asked: true });
  } else if (command && event.shiftKey && key === "p") {
    event.preventDefault();
    live.toggle();
  } else if (event.key === "?" && !event.target.closest("input, textarea, [contenteditable]")) {
    const help = document.querySelector("details.help");
    help.open = true;
    help.querySelector("summary").focus();
  }
});

document.documentElement.dataset.writing = "ready";

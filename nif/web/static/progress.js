// Keeps the progress of a send or an import up to date while the page is visible. The page works without.
"use strict";

(() => {
  const POLL_EVERY = 2500;
  const ANNOUNCE_EVERY = 20000;
  const place = document.getElementById("progress");
  const announcement = document.getElementById("progress-announcement");
  if (!place || !announcement) return;

  const phaseOf = (node) => node.querySelector("[data-phase]")?.dataset.phase;
  const first = phaseOf(place);
  let etag = "";
  let timer = 0;
  let announcedAt = Date.now();
  let failures = 0;
  let overtaken = false;

  // Screen readers announce the summary only, and not on every poll.
  const announce = (sentence) => {
    if (sentence === announcement.textContent || Date.now() - announcedAt < ANNOUNCE_EVERY) return;
    announcement.textContent = sentence;
    announcedAt = Date.now();
  };

  // A page in which someone is filling in a form is not reloaded.
  const isBusy = () => document.activeElement?.matches("main input, main textarea, main select");

  const offerToReload = () => {
    const link = document.createElement("a");
    link.href = place.dataset.page;
    link.textContent = "Something has changed: reload";
    const line = document.createElement("p");
    line.append(link);
    place.append(line);
    announcement.textContent = link.textContent;
  };

  const reload = () => location.replace(place.dataset.page);

  const update = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    const phase = phaseOf(fresh);
    if (phase === undefined) return reload();
    place.replaceChildren(...fresh.childNodes);
    announce(place.querySelector("[data-summary]").textContent);
    overtaken = phase !== first;
    if (overtaken && isBusy()) offerToReload();
    return undefined;
  };

  const poll = async () => {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(place.dataset.from, { headers, cache: "no-store" });
    if (answer.redirected) return reload();
    if (answer.status === 304) return undefined;
    if (!answer.ok) throw new Error(String(answer.status));
    etag = answer.headers.get("ETag") || "";
    return update(await answer.text());
  };

  const tick = async () => {
    clearTimeout(timer);
    if (document.visibilityState !== "visible") return;
    try {
      await poll();
      if (overtaken && !isBusy()) reload();
      failures = 0;
    } catch {
      failures = Math.min(failures + 1, 5);
    }
    timer = setTimeout(tick, POLL_EVERY * 2 ** failures);
  };

  document.addEventListener("visibilitychange", tick);
  timer = setTimeout(tick, POLL_EVERY);
})();

// Keeps the progress of a send up to date while someone looks at it. The page is whole without.
"use strict";

(() => {
  const EVERY = 2500;
  const SAY_EVERY = 20000;
  const place = document.getElementById("progress");
  const voice = document.getElementById("progress-said");
  if (!place || !voice) return;

  const phaseOf = (node) => node.querySelector("[data-phase]")?.dataset.phase;
  const first = phaseOf(place);
  let etag = "";
  let timer = 0;
  let saidAt = Date.now();
  let failures = 0;
  let overtaken = false;

  // What a screen reader says: the summary alone, and not with every tick.
  const say = (sentence) => {
    if (sentence === voice.textContent || Date.now() - saidAt < SAY_EVERY) return;
    voice.textContent = sentence;
    saidAt = Date.now();
  };

  // Whoever is filling in a form is not to lose it to a page that renews itself.
  const isBusy = () => document.activeElement?.matches("main input, main textarea, main select");

  const offerToReload = () => {
    const link = document.createElement("a");
    link.href = place.dataset.page;
    link.textContent = "Something has changed: show it";
    const line = document.createElement("p");
    line.append(link);
    place.append(line);
    voice.textContent = link.textContent;
  };

  const renew = () => location.replace(place.dataset.page);

  const take = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    const phase = phaseOf(fresh);
    if (phase === undefined) return renew();
    place.replaceChildren(...fresh.childNodes);
    say(place.querySelector("[data-summary]").textContent);
    overtaken = phase !== first;
    if (overtaken && isBusy()) offerToReload();
    return undefined;
  };

  const look = async () => {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(place.dataset.from, { headers, cache: "no-store" });
    if (answer.redirected) return renew();
    if (answer.status === 304) return undefined;
    if (!answer.ok) throw new Error(String(answer.status));
    etag = answer.headers.get("ETag") || "";
    return take(await answer.text());
  };

  const tick = async () => {
    clearTimeout(timer);
    if (document.visibilityState !== "visible") return;
    try {
      await look();
      if (overtaken && !isBusy()) renew();
      failures = 0;
    } catch {
      failures = Math.min(failures + 1, 5);
    }
    timer = setTimeout(tick, EVERY * 2 ** failures);
  };

  document.addEventListener("visibilitychange", tick);
  timer = setTimeout(tick, EVERY);
})();

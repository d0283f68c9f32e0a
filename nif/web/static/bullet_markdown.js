// Converts a bullet between its line of Markdown and its runs, as nif/stories/text.py reads the line.
// A run is [text, marks, address]: marks is "", "em", "strong" or "em strong".
import { MarkdownIt } from "./vendor/nif-editor-1.js";

const markdown = new MarkdownIt("zero").enable(["emphasis", "link", "escape"]);
const REFERENCES = /\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]\s*$/;
const WEB = /^https?:\/\/[^\s/?#]/i;

export const isAddress = (text) => WEB.test(text) && !/\s/.test(text);

const joined = (runs) => {
  const whole = [];
  for (const [text, marks, address] of runs) {
    const last = whole.at(-1);
    if (!text) continue;
    if (last && last[1] === marks && last[2] === address) last[0] += text;
    else whole.push([text, marks, address]);
  }
  return whole;
};

const parsed = (text) => {
  const open = [];
  let address = null;
  const runs = [];
  for (const token of markdown.parseInline(text, {})[0].children) {
    if (token.type === "link_open") {
      const href = token.attrGet("href") || "";
      address = isAddress(href) ? href : null;
    } else if (token.type === "link_close") address = null;
    else if (token.type.endsWith("_open")) open.push(token.type.slice(0, -5));
    else if (token.type.endsWith("_close")) open.splice(open.lastIndexOf(token.type.slice(0, -6)), 1);
    else if (token.content) runs.push([token.content, [...new Set(open)].sort().join(" "), address]);
  }
  return joined(runs);
};

export const runsOf = (line) => {
  const found = REFERENCES.exec(line);
  const body = found ? line.slice(0, found.index) : line;
  const rest = found ? ` [${found[1]}]` : "";
  return joined([...parsed(body), [rest, "", null]]);
};

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const STARS = { "": "", em: "*", strong: "**", "em strong": "***" };
const bare = (text) => text;
const escaped = (text) => text.replace(/[\\*_[\]]/g, "\\$&");
const target = (address) => `<${address.replace(/[<>]/g, encodeURIComponent)}>`;
const plainTarget = (address) => (/[()<>\\]/.test(address) ? target(address) : address);

const linked = (text, address) => (address ? `[${text}](${plainTarget(address)})` : text);

// Emphasis cannot begin or end with a space, so the space moves outside.
const eachAlone = (runs, escape, star) =>
  runs
    .map(([text, marks, address]) => {
      const [, before, core, after] = /^(\s*)(.*?)(\s*)$/su.exec(text);
      if (!core) return text;
      const open = STARS[marks].replace(/^\*(?!\*$)/, star);
      const close = [...open].reverse().join("");
      return before + linked(open + escape(core) + close, address) + after;
    })
    .join("");

// Nests strong around emphasis, or emphasis around strong, where the two meet.
const nested = (outer) => (runs, escape, star) => {
  const inner = outer === "em" ? "strong" : "em";
  const sign = { em: star, strong: "**" };
  let open = [];
  let written = "";
  const close = (down) => {
    while (open.length > down) written += sign[open.pop()];
  };
  const spaces = [];
  for (const [text, marks, address] of runs) {
    const [, before, core, after] = /^(\s*)(.*?)(\s*)$/su.exec(text);
    if (!core) {
      spaces.push(text);
      continue;
    }
    const wanted = [outer, inner].filter((name) => marks.split(" ").includes(name));
    let same = 0;
    while (same < open.length && open[same] === wanted[same]) same += 1;
    close(same);
    written += spaces.splice(0).join("") + before;
    for (const name of wanted.slice(same)) {
      open.push(name);
      written += sign[name];
    }
    written += linked(escape(core), address);
    if (after) spaces.push(after);
  }
  close(0);
  return written + spaces.join("");
};

const WRITERS = [eachAlone, nested("strong"), nested("em")];

const tidy = (runs) =>
  joined(
    runs.flatMap(([text, marks, address]) => {
      const [, before, core, after] = /^(\s*)(.*?)(\s*)$/su.exec(text);
      return [[before, "", null], [core, core ? marks : "", core ? address : null], [after, "", null]];
    }),
  );

// Collapses whitespace to single spaces and trims both ends, as the server stores it.
const spaced = (runs) => {
  let ended = true;
  const kept = runs.map(([text, marks, address]) => {
    let one = text.replace(/[\s\u0085\u001c-\u001f]+/gu, " ");
    if (ended) one = one.replace(/^ /, "");
    if (one) ended = one.endsWith(" ");
    return [one, marks, address];
  });
  const last = kept.findLast(([text]) => text);
  if (last) last[0] = last[0].replace(/ $/, "");
  return joined(kept);
};

export const lineOf = (given) => {
  const runs = spaced(given);
  const last = runs.at(-1);
  const found = last && !last[1] && !last[2] ? REFERENCES.exec(last[0]) : null;
  const body = found ? joined([...runs.slice(0, -1), [last[0].slice(0, found.index), "", null]]) : runs;
  const rest = found ? ` [${found[1]}]` : "";
  const wanted = tidy(body);
  const unmarked = joined(body.map(([text, , address]) => [text, "", address]));
  const words = [[body.map(([text]) => text).join(""), "", null]];
  for (const [attempt, aim] of [[body, wanted], [unmarked, tidy(unmarked)], [words, words]]) {
    for (const escape of [bare, escaped]) {
      for (const write of WRITERS) {
        for (const star of ["*", "_"]) {
          const line = write(attempt, escape, star);
          if (same(tidy(parsed(line)), aim) && !REFERENCES.test(line)) return (line + rest).trim();
        }
      }
    }
  }
  return (eachAlone(words, escaped, "*") + rest).trim();
};

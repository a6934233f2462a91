/** The one page: its frame as HTML, with style and script in it. The script fills it in. */

import { answer } from "./responses.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** What the page is made for. */
interface PageFacts {
  readonly title: string;
  readonly hasInstances: boolean;
  readonly mayAct: boolean;
  readonly actor: string;
}

/** A circle with a gap, as an icon of the tab. An address of data: nothing is loaded. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cg fill='none' " +
  "stroke='%232f6fde' stroke-width='4' stroke-linecap='round'%3E%3Cpath d='M4 22h6l11-11M22 22h6'/%3E%3C/g%3E%3C/svg%3E";

let policy: Promise<string> | undefined;

/** Answers with the page. The policy names script and style by their digests, so no other one runs. */
export async function pageAnswer(facts: PageFacts): Promise<Response> {
  return answer(htmlOf(facts), {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": await (policy ??= policyOf()),
  });
}

async function policyOf(): Promise<string> {
  const [script, style] = await Promise.all([SCRIPT, STYLE].map(digestOf));
  return [
    "default-src 'none'",
    `script-src '${script}'`,
    `style-src '${style}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}

/** A text as content or as an attribute's value. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

function htmlOf({ title, hasInstances, mayAct, actor }: PageFacts): string {
  const name = escaped(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${name}</title>
<link rel="icon" href="${ICON}">
<style>${STYLE}</style>
</head>
<body data-title="${name}" data-may-act="${mayAct}" data-actor="${escaped(actor)}">
<a class="skip" href="#main">Skip to the content</a>
<header>
  <p class="title"><a data-nav href="?">${name}</a></p>
  <nav aria-label="Views">
    <a data-nav data-view="circuits" href="?">Circuits</a>
    <a data-nav data-view="changes" href="?view=changes">Changes</a>
    ${hasInstances ? '<a data-nav data-view="instances" href="?view=instances">Instances</a>' : ""}
  </nav>
  <p class="who">${
    mayAct ? `<span>Acts as <bdi>${escaped(actor)}</bdi></span>` : "<span>Read only</span>"
  }
    <span id="live" class="live" data-live="connecting" role="status">Connecting</span></p>
</header>
<div id="banner" class="banner" role="alert" hidden></div>
<main id="main" tabindex="-1"><noscript>This page needs JavaScript.</noscript></main>
<p id="said" class="unseen" aria-live="polite"></p>
${mayAct ? DIALOG : ""}
<script type="module">${SCRIPT}</script>
</body>
</html>
`;
}

const DIALOG = `<dialog id="act" aria-labelledby="act-title" aria-describedby="act-effect">
<form method="dialog">
  <h2 id="act-title"></h2>
  <p id="act-effect"></p>
  <p id="act-for-row"><label for="act-for">For how long</label>
    <select id="act-for">
      <option value="">until it is released</option>
      <option value="300000">5 minutes</option>
      <option value="900000">15 minutes</option>
      <option value="3600000">1 hour</option>
      <option value="14400000">4 hours</option>
      <option value="86400000">1 day</option>
      <option value="604800000">7 days</option>
    </select></p>
  <p><label for="act-reason">Reason, for the log</label>
    <input id="act-reason" required maxlength="1000" autocomplete="off"></p>
  <p id="act-problem" class="problem" role="alert"></p>
  <p class="buttons"><button type="button" id="act-cancel">Cancel</button>
    <button type="submit" id="act-confirm" class="primary"></button></p>
</form>
</dialog>`;

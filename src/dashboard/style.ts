/** The style of the page. */
export const STYLE: string = String.raw`
:root {
  color-scheme: light dark;
  --ground: #f5f7f9; --surface: #ffffff; --text: #1b2430; --faint: #576474; --line: #e1e6ec;
  --accent: #1f56c2; --hover: #f0f4fa; --escape: #f3e3ff; --escape-text: #6a1b9a;
  --open: #b3261e; --open-ground: #fdeceb; --half: #855400; --half-ground: #fff3d9; --half-fill: #c07f00;
  --closed: #1d6b3f; --closed-ground: #e6f4ec; --act: #1b2430;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10141a; --surface: #171c24; --text: #e3e8ef; --faint: #9ba8b8; --line: #29313c;
    --accent: #8ab4ff; --hover: #1d2430; --escape: #3a2450; --escape-text: #e2bfff;
    --open: #ffaea6; --open-ground: #471b18; --half: #ffd084; --half-ground: #3f2d0c; --half-fill: #e0a94a;
    --closed: #88d8ab; --closed-ground: #12331f; --act: #e3e8ef;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
}
h1, h2, p, dl, dd { margin: 0; }
h1 { font-size: 20px; line-height: 1.3; font-weight: 650; }
h2 { font-size: 16px; font-weight: 650; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
h1:focus, main:focus { outline: none; }
.faint { color: var(--faint); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: 8px; top: -48px; background: var(--surface); padding: 8px 12px; z-index: 2; }
.skip:focus { top: 8px; }

header {
  display: flex; flex-wrap: wrap; align-items: center; gap: 4px 24px; padding: 0 24px; min-height: 52px;
  background: var(--surface); border-bottom: 1px solid var(--line);
}
header .title a { color: var(--text); font-weight: 650; font-size: 15px; }
header nav { display: flex; gap: 4px; }
header nav a { color: var(--faint); padding: 16px 10px 14px; border-bottom: 2px solid transparent; }
header nav a:hover { color: var(--text); text-decoration: none; }
header nav a[aria-current] { color: var(--text); border-bottom-color: var(--accent); font-weight: 600; }
header .who { margin-left: auto; display: flex; gap: 16px; color: var(--faint); font-size: 13px; }
.live::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 6px; background: var(--faint); }
.live[data-live="live"]::before { background: var(--closed); }
.live[data-live="lost"]::before { background: var(--open); border-radius: 1px; }
.banner { padding: 10px 24px; background: var(--open-ground); color: var(--open); font-weight: 550; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
main { padding: 20px 24px 40px; max-width: 1480px; margin: 0 auto; }
body.old table { border-style: dashed; border-color: var(--open); }

.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 14px; margin: 12px 0 14px; }
.tools h1, .tools h2 { margin-right: auto; }
.tools label { color: var(--faint); }
input, select, button { font: inherit; color: inherit; }
input, select { background: var(--surface); border: 1px solid var(--faint); border-radius: 6px; padding: 6px 10px; min-height: 34px; }
input[type="search"] { width: 260px; max-width: 100%; font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 13px; }
input::placeholder { color: var(--faint); opacity: 1; }
.choices { display: inline-flex; border: 1px solid var(--line); border-radius: 6px; background: var(--surface); overflow: hidden; }
.choices a { padding: 6px 12px; color: var(--faint); border-right: 1px solid var(--line); white-space: nowrap; }
.choices a:last-child { border-right: 0; }
.choices a:hover { background: var(--hover); text-decoration: none; }
.choices a:focus-visible { outline-offset: -2px; }
.choices a[aria-current] { background: var(--hover); color: var(--text); font-weight: 600; }
.count { display: inline-block; min-width: 1ch; font-weight: 650; color: var(--text); }

table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; }
th { text-align: left; font-size: 12px; font-weight: 600; color: var(--faint); padding: 8px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
td { padding: 5px 12px; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:last-child > td { border-bottom: 0; }
tbody tr:hover td { background: var(--hover); }
[data-of="state"], [data-of="change"], [data-of="time"], [data-of="cause"] { white-space: nowrap; }
[data-of="failures"], [data-of="refused"] { text-align: right; white-space: nowrap; }
[data-of="next"], [data-of="since"], [data-of="last-seen"] { white-space: nowrap; }
.circuits [data-of="circuit"], .changes [data-of="circuit"] { width: 28%; min-width: 240px; max-width: 440px; }
[data-of="who"] { min-width: 120px; }
.cause { font-weight: 550; }
q { quotes: "“" "”"; }
.outside { unicode-bidi: isolate; white-space: pre-wrap; overflow-wrap: anywhere; }
.key { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .93em; }
td .key { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.escape { background: var(--escape); color: var(--escape-text); border-radius: 3px; padding: 0 2px; margin: 0 1px; }
.badge { display: inline-block; font: 12px/1.4 system-ui, sans-serif; color: var(--faint); border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; }
.badge.warn { color: var(--half); background: var(--half-ground); border-color: transparent; }
.state { display: inline-flex; align-items: center; gap: 6px; border-radius: 4px; padding: 0 8px; font-weight: 600; font-size: 13px; line-height: 22px; }
.state.open { color: var(--open); background: var(--open-ground); }
.state.half-open { color: var(--half); background: var(--half-ground); }
.state.closed { color: var(--closed); font-weight: 500; }
h1 .state.closed { background: var(--closed-ground); }
.by-force { font-weight: 500; }
.shape { width: 9px; height: 9px; background: currentColor; flex: none; }
.open > .shape { border-radius: 1px; }
.half-open > .shape { background: none; border: 2px solid currentColor; border-radius: 1px; }
.closed > .shape { border-radius: 50%; }
tr.changed td { animation: changed 2s ease-out; }
@keyframes changed { from { background: var(--half-ground); } }
.empty { padding: 40px 16px; text-align: center; color: var(--faint); background: var(--surface); border: 1px solid var(--line); border-radius: 8px; }
.empty p + p { margin-top: 8px; }
.pages { display: flex; gap: 16px; justify-content: center; align-items: center; padding: 14px 0; }
.pages a { padding: 6px 14px; border: 1px solid var(--line); border-radius: 6px; background: var(--surface); }
.note { padding: 12px 0; text-align: center; }

.back { margin-bottom: 6px; }
.one h1 { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; }
.one h1 .state { font-size: 14px; line-height: 26px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1px; margin: 16px 0; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); overflow: hidden; }
.facts > div { padding: 9px 14px; box-shadow: 0 0 0 1px var(--line); overflow-wrap: anywhere; }
dt { font-size: 12px; color: var(--faint); }
.one > .empty { padding: 16px; margin: 16px 0; }
.timeline { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; margin-bottom: 14px; }
.timeline svg { display: block; width: 100%; height: 56px; margin-top: 10px; border-bottom: 1px solid var(--line); }
.timeline rect.open { fill: var(--open); } .timeline rect.half-open { fill: var(--half-fill); } .timeline rect.closed { fill: var(--closed); opacity: .45; }
.timeline rect.act { fill: var(--act); }
.axis { display: flex; justify-content: space-between; gap: 8px; font-size: 12px; color: var(--faint); padding-top: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center; font-size: 12px; color: var(--faint); padding-top: 6px; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.swatch.open { background: var(--open); } .swatch.half-open { background: var(--half-fill); } .swatch.closed { background: var(--closed); opacity: .45; }
.swatch.act { background: var(--act); width: 3px; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; }
button { background: var(--surface); border: 1px solid var(--faint); border-radius: 6px; padding: 6px 14px; min-height: 34px; cursor: pointer; }
button:hover { background: var(--hover); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--surface); font-weight: 600; }
button.danger { background: var(--open); border-color: var(--open); }
button:disabled { opacity: .6; cursor: default; }
dialog { width: min(480px, calc(100vw - 32px)); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; background: var(--surface); color: var(--text); overflow-wrap: anywhere; }
dialog::backdrop { background: rgb(10 14 20 / .5); }
dialog form > * + * { margin-top: 14px; }
dialog label { display: block; color: var(--faint); margin-bottom: 4px; }
dialog input, dialog select { width: 100%; }
dialog .buttons { justify-content: flex-end; }
.problem { color: var(--open); font-weight: 550; } .problem:empty { display: none; }

@media (max-width: 820px) {
  header { padding: 8px 14px 0; } header nav { order: 3; width: 100%; } header nav a { padding: 8px 10px; }
  main { padding: 14px 12px 32px; } .banner { padding: 10px 14px; }
  .tools input[type="search"] { width: 100%; } .choices { flex-wrap: nowrap; max-width: 100%; overflow-x: auto; } .choices a { padding: 8px 11px; }
  table, tbody { display: block; } thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { display: flex; flex-wrap: wrap; align-items: baseline; gap: 3px 12px; padding: 10px 12px; border-bottom: 1px solid var(--line); }
  tbody tr:last-child { border-bottom: 0; }
  td { border: 0; padding: 0; font-size: 13px; } td[data-of="who"] { min-width: 0; } tbody tr:hover td { background: none; }
  td:empty, td:has(> span:only-child:empty) { display: none; }
  .circuits td[data-of="circuit"], .changes td[data-of="circuit"] { width: auto; min-width: 0; max-width: none; flex: 1 1 60%; font-size: 14px; }
  .instances td[data-of="instance"] { flex: 1 1 100%; font-size: 14px; }
  td[data-of="why"], td[data-of="reason"] { flex: 1 1 100%; }
  td[data-of="failures"]::before { content: "failures "; color: var(--faint); }
  td[data-of="refused"]::after { content: " refused"; color: var(--faint); }
  .facts { grid-template-columns: repeat(2, 1fr); } .axis span:nth-child(even) { display: none; }
  .pages a, button { min-height: 44px; } .pages a { padding: 11px 16px; }
}
@media (prefers-reduced-motion: reduce) { tr.changed td { animation: none; } }
`;
